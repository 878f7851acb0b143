#!/bin/bash
# What backups and the archive cost: the increments of three servers in turn, one that makes no backups, one that makes
# one each second, and one that archives every commit. Wants a quiet machine and the preset "release".
# Usage: backup_cost.sh [BUILD]
set -euo pipefail

build=$(realpath "${1:-build/release}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Makes a program that is holdfastd with a backup section of its own: wire_bench gives all servers one configuration.
contender() {
  cat >"$work/$1" <<PROGRAM
#!/bin/bash
arguments=("\$@")
for ((i = 0; i < \$#; i++)); do
  if [ "\${arguments[i]}" = --config ]; then
    echo "backup { directory: \"\${arguments[i + 1]}-backups\" $2 }" >>"\${arguments[i + 1]}"
  fi
done
exec "$build/service/holdfastd" "\$@"
PROGRAM
  chmod +x "$work/$1"
}
contender backups "every_ms: 1000 keep: 3"
contender archive "archive_log: true"

"$build/tests/bench/wire_bench" --cases increment --peers "" --rounds "${ROUNDS:-7}" \
  --holdfast "holdfast=$build/service/holdfastd" --holdfast "backups=$work/backups" --holdfast "archive=$work/archive"
