#!/usr/bin/env bash
# Runs the same cases with the generated client of each language against one server; conformance.py says how. A
# language whose tool chain is missing is named and left out; with --all that is a failure. If all are missing, the exit
# status is 77.
#
#   run.sh HOLDFASTD CPP [--all] [LANGUAGE...]     HOLDFASTD is the path of the server's program, CPP that of the
#                                                  runner in C++; without a LANGUAGE all: go python typescript java cpp
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
clients=$root/tests/clients
readonly here root clients

fail() { echo "${0##*/}: $*" >&2; exit 1; }
[ $# -ge 2 ] || { sed -n '6,7s/^# *//p' "$0" >&2; exit 2; }
server=$(realpath "$1") cpp=$(realpath "$2")
shift 2
all=()
if [ "${1:-}" = --all ]; then
  all=(--all)
  shift
fi
[ $# -gt 0 ] || set -- go python typescript java cpp

. "$clients/tool_chains.sh"
. "$clients/python/environment.sh"
commands=()
for language in "$@"; do
  command=-
  if has_tools_of "$language"; then
    case $language in
      go) command=$("$clients/go/build.sh" conformance) ;;
      python) command="$python_client/venv/bin/python $here/runner.py" ;;
      typescript | java) command=$("$clients/$language/build.sh") ;;
      cpp) command=$cpp ;;
    esac
  fi
  commands+=("$language=$command")
done
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$python_client/gen
exec "$python_client/venv/bin/python" "$here/conformance.py" "$server" ${all[@]+"${all[@]}"} "${commands[@]}"
