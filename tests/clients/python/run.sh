#!/usr/bin/env bash
# Tests the server through a client in Python, from the contract alone: the code is generated from proto/, and nothing
# is shared with the C++ side. Starts servers of its own on free loopback ports with temporary data.
#
#   run.sh HOLDFASTD [PYTEST ARGUMENTS...]        HOLDFASTD is the path of the server's program
#   HOLDFASTD=PATH run.sh [PYTEST ARGUMENTS...]
#
# Keeps its virtual environment and generated code under build/python-client (environment.sh).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
readonly here root

. "$root/tests/clients/python/pytest.sh"
run_pytest "$here" "" "$@"
