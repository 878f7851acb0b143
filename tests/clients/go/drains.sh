#!/usr/bin/env bash
# Stops the server again and again under the load of a client in Go (drains/main.go says what is checked).
#
#   drains.sh HOLDFASTD [-drains 200] [-calls 64]        HOLDFASTD is the path of the server's program
set -euo pipefail

[ $# -ge 1 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
command -v go >/dev/null || { echo "drains.sh: no go: deploy/install-deps.sh --tools" >&2; exit 1; }
server=$1
shift
program=$("$here/build.sh" drains)
exec "$program" -server "$server" "$@"
