#!/usr/bin/env bash
# Runs the code of each recipe in docs/cookbook.md against servers of its own on free loopback ports, and compares what
# it prints with what the document shows.
#
#   run.sh HOLDFASTD [PYTEST ARGUMENTS...]        HOLDFASTD is the path of the server's program
#   HOLDFASTD=PATH run.sh [PYTEST ARGUMENTS...]
#
# Uses the virtual environment and the generated code of tests/clients/python, under build/python-client.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root

fail() { echo "run.sh: $*" >&2; exit 1; }

server=${HOLDFASTD:-}
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  server=$1
  shift
fi
[ -n "$server" ] || fail "which server? Name its program as the first argument, or in HOLDFASTD"
[ -x "$server" ] || fail "$server is no program"
server=$(realpath "$server")
. "$root/tests/clients/python/environment.sh"

export HOLDFASTD=$server PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$python_client/gen:$root/tests/clients/python
exec "$python_client/venv/bin/python" -m pytest -p no:cacheprovider --strict-markers -W error::pytest.PytestWarning \
  --rootdir "$here" "$here" "$@"
