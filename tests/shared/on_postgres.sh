#!/bin/sh
# holdfastd with its objects in PostgreSQL: takes the arguments of holdfastd, and gives each data directory a schema of
# its own. With HOLDFAST_TEST_SERVER=tests/shared/on_postgres.sh every suite that starts a server runs on PostgreSQL:
#
#   HOLDFAST_TEST_SERVER   this script
#   HOLDFAST_TEST_HOLDFASTD  the server
#   HOLDFAST_TEST_DATABASE   a conninfo of libpq without options
#
# tests/shared/with_postgres.sh starts a database and sets them; tests/run.sh --full postgres runs the blackbox suite so.
set -eu

config="" data=""
previous=""
for argument in "$@"; do
  case "$previous" in
    --config) config=$argument ;;
    --data-dir) data=$argument ;;
  esac
  previous=$argument
done
if [ -n "$config" ] && [ -n "$data" ] && ! grep -q 'postgres' "$config"; then
  schema="t$(printf '%s' "$data" | md5sum | cut -c 1-24)"
  conninfo="$HOLDFAST_TEST_DATABASE options='-csearch_path=$schema'"
  psql -q "$HOLDFAST_TEST_DATABASE" -c "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS $schema" > /dev/null
  printf '\npostgres { lease_ms: 500 database { conninfo: "%s" } }\n' "$conninfo" >> "$config"
  "$HOLDFAST_TEST_HOLDFASTD" --config "$config" --init-cluster > /dev/null
fi
exec "$HOLDFAST_TEST_HOLDFASTD" "$@"
