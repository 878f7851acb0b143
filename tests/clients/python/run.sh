#!/usr/bin/env bash
# Tests the server through a client in Python, from the contract alone: code generated from proto/, nothing shared with
# the C++ side. Starts servers of its own on free loopback ports with temporary data.
#
#   run.sh HOLDFASTD [PYTEST ARGUMENTS...]        HOLDFASTD is the path of the server's program
#   HOLDFASTD=PATH run.sh [PYTEST ARGUMENTS...]
#
# Keeps its virtual environment and generated code under build/python-client (environment.sh).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
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
. "$here/environment.sh"

export HOLDFASTD=$server PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$python_client/gen
exec "$python_client/venv/bin/python" -m pytest -p no:cacheprovider --strict-markers -W error::pytest.PytestWarning \
  --rootdir "$here" "$here" "$@"
