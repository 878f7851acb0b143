#!/usr/bin/env bash
# The cost of a synchronous standby: the cases of wire_bench against three servers in turn, one on its data directory,
# one on a PostgreSQL, and one on a PostgreSQL whose commits wait until its standby has synced them. All of it shares
# this machine and its disk. Wants a quiet machine and the preset "release".
# Usage: standby_cost.sh [BUILD] [ARGUMENTS OF wire_bench...]
set -euo pipefail

build=$(realpath "${1:-build/release}")
shift || true
export PATH=$PATH:/usr/lib/postgresql/15/bin
work=$(mktemp -d)
as_user=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$work"
  chmod 711 "$work"
  as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
servers=()
stop() {
  local server
  for server in "${servers[@]}"; do kill -INT "$server" && wait "$server" || true; done
  rm -rf "$work"
}
trap stop EXIT

start() { # NAME
  # Sockets have names of their own, since a standby has the settings of its primary.
  mkdir "$work/$1.socket"
  chmod 777 "$work/$1.socket"
  (cd "$work" && exec "${as_user[@]}" postgres -D "$work/$1" -c "unix_socket_directories=$work/$1.socket") >"$work/$1.log" 2>&1 &
  servers+=($!)
  for _ in $(seq 600); do
    psql -q "$(conninfo "$1")" -c 'SELECT 1' >/dev/null 2>&1 && return
    sleep 0.1 # only another try tells that the server takes connections
  done
  cat "$work/$1.log" >&2
  exit 1
}
conninfo() { echo "host=$work/$1.socket dbname=postgres user=holdfast"; }

make() { # NAME
  "${as_user[@]}" initdb -D "$work/$1" -U holdfast -A trust -E UTF8 --no-locale >/dev/null
  "${as_user[@]}" tee -a "$work/$1/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
shared_buffers = 128MB
max_connections = 100
max_wal_size = 1GB
log_min_messages = error
CONF
}
make alone
start alone
make replicated
start replicated
(cd "$work" && "${as_user[@]}" pg_basebackup -d "$(conninfo replicated) application_name=standby" -D "$work/standby" -R)
start standby
psql -q "$(conninfo replicated)" -c "ALTER SYSTEM SET synchronous_standby_names = 'standby'" -c 'SELECT pg_reload_conf()' >/dev/null
for _ in $(seq 100); do
  [ "$(psql -qAt "$(conninfo replicated)" -c "SELECT sync_state FROM pg_stat_replication")" = sync ] && break
  sleep 0.1 # the server does not tell when its standby follows
done

# Makes a program that is holdfastd on a database: wire_bench gives all servers one configuration.
contender() { # NAME
  cat >"$work/holdfastd-$1" <<PROGRAM
#!/usr/bin/env bash
set -e
arguments=("\$@")
for ((i = 0; i < \$#; i++)); do
  if [ "\${arguments[i]}" = --config ]; then
    echo 'postgres { database { conninfo: "$(conninfo "$1")" } }' >>"\${arguments[i + 1]}"
    "$build/service/holdfastd" --config "\${arguments[i + 1]}" --init-cluster >/dev/null
  fi
done
exec "$build/service/holdfastd" "\$@"
PROGRAM
  chmod +x "$work/holdfastd-$1"
}
contender alone
contender replicated

[ $# -gt 0 ] || set -- --cases increment,increment-one,get-value,sql-update,batch-increment-64
"$build/tests/bench/wire_bench" --peers "" "$@" \
  --holdfast "holdfast=$build/service/holdfastd" --holdfast "postgres=$work/holdfastd-alone" \
  --holdfast "standby=$work/holdfastd-replicated"
psql -qAt "$(conninfo replicated)" -c "SELECT 'the standby is ' || sync_state || ', ' || state FROM pg_stat_replication"
