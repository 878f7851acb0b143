#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, which ends with it: with_postgres.sh HOLDFASTD COMMAND...
# Servers that the command starts through HOLDFAST_TEST_SERVER keep their objects in that database (on_postgres.sh).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HOLDFAST_TEST_HOLDFASTD=$(realpath "$1")
export HOLDFAST_TEST_HOLDFASTD
shift
export PATH=$PATH:/usr/lib/postgresql/15/bin
# In memory where that is possible, so that a sync costs little; what survives a kill is the same.
directory=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" holdfast-postgres-XXXXXX)
as_user=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$directory"
  as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
postgres=
stop() {
  [ -z "$postgres" ] || { kill -INT "$postgres" && wait "$postgres" || true; }
  rm -rf "$directory"
}
trap stop EXIT
"${as_user[@]}" initdb -D "$directory/data" -U holdfast -A trust -E UTF8 --no-sync --no-locale > /dev/null
cat >> "$directory/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$directory'
shared_buffers = 128MB
max_connections = 300
max_wal_size = 1GB
log_min_messages = error
CONF
(cd "$directory" && exec "${as_user[@]}" postgres -D "$directory/data") > "$directory/log" 2>&1 &
postgres=$!
export HOLDFAST_TEST_DATABASE="host=$directory dbname=postgres user=holdfast"
for _ in $(seq 600); do
  psql -q "$HOLDFAST_TEST_DATABASE" -c 'SELECT 1' > /dev/null 2>&1 && break
  sleep 0.1 # only another try tells that the server takes connections
done
export HOLDFAST_TEST_SERVER=$here/on_postgres.sh
"$@"
