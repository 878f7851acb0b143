#!/usr/bin/env bash
# Compares Holdfast with workerd, Cloudflare's own runtime: takes the same random sequences of operations on objects of
# both, and of calls of SQL, and compares every answer. Starts both on free loopback ports with temporary data, and ends
# both.
#
#   run.sh [HOLDFASTD] [OPTIONS]        HOLDFASTD is the path of the server's program; or set it in the environment
#
#   --part P        storage (keys and alarms), sql, or all (all)
#   --sequences N   sequences of keys and alarms to take, each on a new object (48)
#   --sql-sequences N   the same of SQL (60)
#   --steps M       steps of each, of SQL statements (40)
#   --seed S        the seed from which they follow; without it one is chosen. It is printed in any case
#   --only I        only the I-th sequence of the seed
#   --replay FILE   the steps in FILE, which a difference names
#   --seconds T     gives up, and fails, when the sequences have not been taken by then (240)
#   --give-up       also one alarm whose handler always fails, on both, to its end: takes 4 minutes
#   --self-test     no Holdfast: two workerds, which must agree, and then one that lies, which must be noticed
#
# Prints the number of comparisons, how often each difference was seen that docs/differences.md lists, and each other
# difference with the shortest sequence that shows it. The exit status is 0 only if there is no other difference.
#
# workerd comes from npm at a pinned version, into build/tools/workerd.
set -euo pipefail

workerd_version=1.20261117.1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly workerd_version here root

fail() { echo "run.sh: $*" >&2; exit 1; }

server=${HOLDFASTD:-}
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  server=$1
  shift
fi
case " $* " in
  *" --help "* | *" -h "*) sed -n '2,23s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *" --self-test "*) ;;
  *)
    [ -n "$server" ] || fail "which server? Name its program as the first argument, or in HOLDFASTD"
    [ -x "$server" ] || fail "$server is no program"
    server=$(realpath "$server")
    ;;
esac

. "$root/tests/clients/python/environment.sh"

tools=$root/build/tools/workerd
workerd=$tools/node_modules/workerd/bin/workerd
mkdir -p "$tools"
(
  flock 9 # two runs at a time would write the same files
  if [ "$(cat "$tools/version" 2>/dev/null)" != "$workerd_version" ] || [ ! -x "$workerd" ]; then
    command -v npm >/dev/null ||
      fail "npm is needed to install workerd $workerd_version, and there is none: deploy/install-deps.sh --tools"
    echo "run.sh: installing workerd $workerd_version"
    npm install --prefix "$tools" --no-audit --no-fund --loglevel=error --save-exact "workerd@$workerd_version" ||
      fail "npm could not install workerd $workerd_version"
    [ -x "$workerd" ] || fail "npm installed no $workerd"
    echo "$workerd_version" >"$tools/version"
  fi
) 9>"$tools/lock"

export HOLDFASTD=$server WORKERD=$workerd PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=$python_client/gen:$root/tests/clients/python
exec "$python_client/venv/bin/python" "$here/differential.py" "$@"
