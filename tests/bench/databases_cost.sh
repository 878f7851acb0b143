#!/bin/bash
# The load that a second database takes off the first: the increments, in turn, of a server on one PostgreSQL and of one
# on two, and the processor time of each PostgreSQL for an increment. Where the cores are too few for the second one to
# raise the rate, the time of the busiest one tells by how much it would. Wants a quiet machine, the preset "release",
# and PostgreSQL 15.
# Usage: databases_cost.sh [BUILD [WIRE_BENCH]]
set -euo pipefail

build=$(realpath "${1:-build/release}")
bench=$(realpath "${2:-$build/tests/bench/wire_bench}")
rounds=${ROUNDS:-7}
seconds=${SECONDS_OF_ROUND:-3}
work=$(mktemp -d)
export PATH=$PATH:/usr/lib/postgresql/15/bin
as_user=()
[ "$(id -u)" != 0 ] || as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
servers=() databases=()
stop() {
  for pid in ${servers[@]+"${servers[@]}"}; do
    kill -INT "$pid" 2>/dev/null && wait "$pid" || true
  done
  rm -rf "$work" "${databases[@]}"
}
trap stop EXIT

# Starts a PostgreSQL server, with its data in memory where that is possible, so that a sync costs little.
start_database() {
  local directory
  directory=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" holdfast-postgres-XXXXXX)
  databases+=("$directory")
  [ "$(id -u)" != 0 ] || chown postgres "$directory"
  "${as_user[@]}" initdb -D "$directory/data" -U holdfast -A trust -E UTF8 --no-sync --no-locale >/dev/null
  cat >>"$directory/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$directory'
shared_buffers = 128MB
max_wal_size = 1GB
CONF
  (cd "$directory" && exec "${as_user[@]}" postgres -D "$directory/data") >"$directory/log" 2>&1 &
  servers+=($!)
  for _ in $(seq 600); do
    psql -q "host=$directory dbname=postgres user=holdfast" -c 'SELECT 1' >/dev/null 2>&1 && return
    sleep 0.1 # only another try tells that the server takes connections
  done
  echo "databases_cost.sh: PostgreSQL does not start" >&2
  exit 1
}

# Prints the processor time of a server with all of its processes, those that have ended too, in ticks.
ticks_of() {
  local sum pid
  sum=$(awk '{ print $14 + $15 + $16 + $17 }' "/proc/$1/stat")
  for pid in $(cat "/proc/$1/task/$1/children"); do
    sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo 0)))
  done
  echo "$sum"
}

# Makes a program that is holdfastd on these databases, by number, and their tables: wire_bench gives all servers one
# configuration. They look at the map of shards seldom, since they do so while others have their rounds, too.
contender() {
  local program=$work/$1 number conninfos="" config
  shift
  for number in "$@"; do
    conninfos+=" database { conninfo: \"host=${databases[number]} dbname=postgres user=holdfast\" }"
  done
  config="actors { executors: 2 } postgres { $conninfos cluster { look_interval_ms: 1000 } }"
  echo "$config" >"$program.conf"
  "$build/service/holdfastd" --config "$program.conf" --init-cluster >/dev/null
  cat >"$program" <<PROGRAM
#!/bin/bash
arguments=("\$@")
for ((i = 0; i < \$#; i++)); do
  [ "\${arguments[i]}" != --config ] || echo '$config' >>"\${arguments[i + 1]}"
done
exec "$build/service/holdfastd" "\$@"
PROGRAM
  chmod +x "$program"
}

# Prints the increments a second of a contender, and the processor time that each of its databases has used for one.
report() {
  local label=$1 number rate
  shift
  # The mean of all rounds, since the processor time is that of all.
  rate=$(awk -v label="$label" '$1 == "increment" && $2 == label && $3 ~ "/s$" { sum += $3; ++rounds }
    END { print sum / rounds }' "$work/output")
  printf '%d of PostgreSQL: %.0f increments/s; us of a processor for an increment:' $# "$rate"
  for number in "$@"; do
    awk -v ticks="$((after[number] - before[number]))" -v rate="$rate" -v rounds="$rounds" -v seconds="$seconds" \
      -v hertz="$(getconf CLK_TCK)" 'BEGIN { printf " %.2f", ticks / hertz / (rate * rounds * seconds) * 1e6 }'
  done
  echo
}

for _ in 0 1 2; do start_database; done
contender one 0
contender two 1 2
before=() after=()
for number in 0 1 2; do before+=("$(ticks_of "${servers[number]}")"); done
"$bench" --cases increment --peers "" --rounds "$rounds" --seconds "$seconds" \
  --holdfast "holdfast=$work/one" --holdfast "two=$work/two" | tee "$work/output"
for number in 0 1 2; do after+=("$(ticks_of "${servers[number]}")"); done
report holdfast 0
report two 1 2
