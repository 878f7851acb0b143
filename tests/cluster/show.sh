#!/usr/bin/env bash
# Shows a cluster: one PostgreSQL, three nodes, a call to each with grpcurl, and a loop of increments with ids during
# which the node that owns the counter is killed. The loop must go on after 6 s at most, and no value may repeat.
#
#   show.sh HOLDFASTD [SECONDS]      HOLDFASTD is the path of the server's program; the loop takes 20 s by default
set -euo pipefail

[ $# -ge 1 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
readonly server=$1 seconds=${2:-20}
readonly programs=/usr/lib/postgresql/15/bin nodes='a b c' outage_ms_max=6000 call_s_max=2
root=$(cd "$(dirname "$0")/../.." && pwd)
readonly root
scratch=$(mktemp -d)
readonly scratch
declare -A pid=() address=()
database_pid=

cleanup() {
  local each
  for each in "${pid[@]}" $database_pid; do kill -KILL "$each" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

fail() { echo "show.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }
now_ms() { date +%s%3N; }

. "$root/tests/shared/grpcurl.sh" || fail "no grpcurl and no go: deploy/install-deps.sh --tools"
# NODE METHOD REQUEST
call() { "$grpcurl" -plaintext -emit-defaults -max-time "$call_s_max" -d "$3" "${address[$1]}" "holdfast.v1.$2"; }
shown() {
  printf '\n$ grpcurl -plaintext -d '"'%s'"' %s holdfast.v1.%s\n' "$3" "${address[$1]}" "$2"
  call "$@"
}
sql() { psql -h "$scratch" -U holdfast -d postgres -Atc "$1"; }

say "one PostgreSQL"
as_user=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$scratch"
  as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
chmod 755 "$scratch"
"${as_user[@]}" "$programs/initdb" -D "$scratch/data" -U holdfast -A trust --no-locale -E UTF8 >"$scratch/initdb.log"
"${as_user[@]}" "$programs/postgres" -D "$scratch/data" -c listen_addresses= -c unix_socket_directories="$scratch" \
  >"$scratch/postgres.log" 2>&1 &
database_pid=$!
# Only another try tells that the database takes connections.
for _ in $(seq 100); do sql 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
sql 'SELECT version()'

say "three nodes"
(umask 077; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$scratch/secret")
free_ports() { python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in sockets))'; }
read -r -a ports <<<"$(free_ports)"
i=0
for node in $nodes; do
  address[$node]=127.0.0.1:${ports[$i]}
  i=$((i + 1))
  cat >"$scratch/$node.conf" <<CONF
listen: "${address[$node]}"
data_dir: "$scratch/$node"
reflection: true
postgres {
  database { conninfo: "host=$scratch dbname=postgres user=holdfast" }
  node: "$node"
  cluster { secret_file: "$scratch/secret" }
}
CONF
done
cat "$scratch/a.conf"
"$server" --config "$scratch/a.conf" --init-cluster
start() { # NODE
  "$server" --config "$scratch/$1.conf" >"$scratch/$1.log" 2>&1 &
  pid[$1]=$!
}
serves() { grep -q '"event":"serving"\|event=serving' "$scratch/$1.log"; }
for node in $nodes; do start "$node"; done
shards_of_nodes() {
  sql 'SELECT w.node, count(*) FROM hf_shard s JOIN hf_writer w ON w.id = s.writer GROUP BY w.node ORDER BY w.node'
}
for _ in $(seq 300); do
  [ "$(shards_of_nodes | wc -l)" = 3 ] && serves a && serves b && serves c && break
  sleep 0.1  # only looking again tells
done
echo "shards of each node:"
shards_of_nodes

say "a call to each node, on the same counter"
for node in $nodes; do
  shown "$node" CounterService/Increment '{"object":{"name":"shown"},"request_id":"first-'"$node"'"}'
done

say "a loop of increments with ids, during which the owner of the counter is killed"
described=$(call a ObjectService/DescribeObject '{"object":{"object_class":"Counter","name":"shown"}}')
shard=$(sed -n 's/.*"shard": *\([0-9]*\).*/\1/p' <<<"$described")
owner_of_counter() {
  sql "SELECT w.node FROM hf_shard s JOIN hf_writer w ON w.id = s.writer WHERE s.id = ${shard:-0}"
}
owner=$(owner_of_counter)
echo "shard ${shard:-0} of the counter is owned by $owner"

order=($nodes)
turn=0 count=0 failed=0 longest_ms=0 killed=
declare -A seen=()
began_ms=$(now_ms)
while [ $(($(now_ms) - began_ms)) -lt $((seconds * 1000)) ]; do
  if [ -z "$killed" ] && [ $(($(now_ms) - began_ms)) -gt $((seconds * 300)) ]; then
    printf '\n$ kill -9 %s    # node %s, after %s increments\n' "${pid[$owner]}" "$owner" "$count"
    kill -KILL "${pid[$owner]}"
    wait "${pid[$owner]}" 2>/dev/null || true
    killed=$owner
  fi
  count=$((count + 1))
  sent_ms=$(now_ms)
  # The next node is asked with the same id until one answers, so that the increment happens once.
  until reply=$(call "${order[$((turn % 3))]}" CounterService/Increment \
    '{"object":{"name":"shown"},"request_id":"loop-'"$count"'"}' 2>&1); do
    failed=$((failed + 1)) turn=$((turn + 1))
    [ $(($(now_ms) - sent_ms)) -lt $((2 * outage_ms_max)) ] || fail "increment $count was not answered: $reply"
    sleep 0.02  # as a client waits before another try
  done
  turn=$((turn + 1))
  took_ms=$(($(now_ms) - sent_ms))
  value=$(sed -n 's/.*"value": "\([0-9]*\)".*/\1/p' <<<"$reply")
  [ -n "$value" ] || fail "increment $count has no value: $reply"
  [ -z "${seen[$value]:-}" ] || fail "the value $value came twice: loop-${seen[$value]} and loop-$count"
  seen[$value]=$count
  if [ $took_ms -gt $longest_ms ]; then longest_ms=$took_ms; fi
  if [ $took_ms -gt 500 ]; then echo "increment $count took $took_ms ms and gave $value"; fi
done

echo
echo "$count increments, $failed calls sent again, ${#seen[@]} different values, the last is $value"
echo "the longest took $longest_ms ms; now shard ${shard:-0} is owned by $(owner_of_counter)"
# Three more were made before the loop.
[ "$value" -eq $((count + 3)) ] || fail "the counter is at $value after $((count + 3)) increments"
[ "$longest_ms" -le $outage_ms_max ] || fail "the loop stood for $longest_ms ms"
[ "$(owner_of_counter)" != "$killed" ] || fail "the shard is still of the node that was killed"
for node in $nodes; do
  if [ "$node" != "$killed" ]; then shown "$node" CounterService/GetValue '{"object":{"name":"shown"}}'; fi
done

say "the killed node comes back and gets its share"
start "$killed"
for _ in $(seq 300); do
  [ "$(shards_of_nodes | wc -l)" = 3 ] && serves "$killed" && break
  sleep 0.1  # only looking again tells
done
shards_of_nodes
shown "$killed" CounterService/GetValue '{"object":{"name":"shown"}}'
