#!/usr/bin/env bash
# Runs the code of each recipe in docs/cookbook.md against servers of its own on free loopback ports, and compares its
# output with that in the document.
#
#   run.sh HOLDFASTD [PYTEST ARGUMENTS...]        HOLDFASTD is the path of the server's program
#   HOLDFASTD=PATH run.sh [PYTEST ARGUMENTS...]
#
# Uses the virtual environment and the generated code of tests/clients/python, under build/python-client.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root

. "$root/tests/clients/python/pytest.sh"
run_pytest "$here" "$root/tests/clients/python" "$@"
