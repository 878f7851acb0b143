#!/usr/bin/env bash
# From a fresh checkout to a running server: installs what is missing, builds, starts the server, shows its methods for
# clients (tour.sh), and keeps serving until Ctrl-C.
#
#   quickstart.sh [--once] [--listen ADDRESS:PORT] [--data-dir DIR]
#
#   --once       ends the server after the tour; exits 0 only if all went well, its clean end included
#   --listen     default 127.0.0.1:50051
#   --data-dir   default data/ in the repository; what an earlier run wrote there is found again
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
readonly here root
readonly start_timeout_s=60 stop_timeout_s=60
listen=127.0.0.1:50051 data_dir=$root/data once=false

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }
say() { echo "quickstart: $*"; }
fail() {
  echo "quickstart: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --once) once=true ;;
    --listen) listen=${2:?--listen needs an ADDRESS:PORT}; shift ;;
    --data-dir) data_dir=$(realpath -m "${2:?--data-dir needs a folder}"); shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "quickstart: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ $listen =~ ^.+:[1-9][0-9]*$ ]] || fail "--listen takes an address and a port, as in 127.0.0.1:50051, not '$listen'"

"$here/install-deps.sh" --check || "$here/install-deps.sh"

say "building (the first time takes some minutes)"
cd "$root"
cmake --preset release >/dev/null
cmake --build --preset release --target holdfastd holdfast
readonly server=$root/build/release/service/holdfastd tool=$root/build/release/client/holdfast

log=$(mktemp)
server_pid=''
running() { [ -n "$server_pid" ] && kill -0 "$server_pid" 2>/dev/null; }

# Ends the server the clean way; its exit status is the function's.
stop_server() {
  local pid=$server_pid status=0 end=$((SECONDS + stop_timeout_s))
  trap '' INT TERM HUP # a second Ctrl-C must not cut the drain short
  kill -TERM "$pid" 2>/dev/null || true
  while running; do
    if [ "$SECONDS" -ge "$end" ]; then
      say "the server has not ended within $stop_timeout_s s; killing it" >&2
      kill -KILL "$pid"
      break
    fi
    sleep 0.1
  done
  wait "$pid" || status=$?
  server_pid=''
  return "$status"
}

show_log() {
  echo "-- what the server said:" >&2
  cat "$log" >&2
}

clean_up() {
  local status=$?
  trap - EXIT
  if running; then stop_server || true; fi
  rm -f "$log"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Another program on the port would answer in the place of our server, which will not get it.
port_answers() {
  local host=${listen%:*}
  host=${host#[}
  (exec 3<>"/dev/tcp/${host%]}/${listen##*:}") 2>/dev/null
}
if port_answers; then occupied=true; else occupied=false; fi

say "starting holdfastd on $listen, data in $data_dir"
# In a session of its own: Ctrl-C in the terminal reaches this script alone, which then ends the server in order.
setsid "$server" --listen "$listen" --data-dir "$data_dir" >"$log" 2>&1 </dev/null &
server_pid=$!
end=$((SECONDS + start_timeout_s))
until ! $occupied && "$tool" --server "$listen" --timeout 2s --retries 0 health >/dev/null 2>&1; do
  if ! running; then
    status=0
    wait "$server_pid" || status=$?
    server_pid=''
    show_log
    fail "the server ended with status $status instead of serving"
  fi
  if [ "$SECONDS" -ge "$end" ]; then
    show_log
    fail "the server does not serve after $start_timeout_s s"
  fi
  sleep 0.1
done
say "it serves"

if ! "$here/tour.sh" "$listen" "$tool"; then
  show_log
  fail "the tour failed"
fi

if $once; then
  say "ending the server"
  status=0
  stop_server || status=$?
  if [ "$status" -ne 0 ]; then
    show_log
    fail "the server ended with status $status"
  fi
  say "all went well; the data stays in $data_dir"
  exit 0
fi

stop_and_exit() {
  local status=0
  echo
  say "ending the server"
  stop_server || status=$?
  if [ "$status" -ne 0 ]; then show_log; fi
  exit "$status"
}
trap stop_and_exit INT TERM HUP
say "serving on $listen until Ctrl-C; the server's log is $log"
status=0
wait "$server_pid" || status=$?
server_pid=''
show_log
fail "the server ended by itself with status $status"
