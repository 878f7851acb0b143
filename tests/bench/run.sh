#!/usr/bin/env bash
# Builds Holdfast optimised, and compares it with a bare gRPC server, the disk, workerd, Restate and Redis. Each gets
# the same load in turn. Prints medians, ratios, and which targets are met. Everything runs on loopback and ends by
# itself.
#
#   run.sh [--quick] [--json FILE] [OPTIONS]
#
#   --quick       3 rounds of 1 s each, not 5 of 3 s
#   --json FILE   writes the figures too: an array of rows
#   OPTIONS       of wire_bench: --cases a,b --peers a,b --rounds N --seconds S --holdfast LABEL=PATH --config TEXT
#
# A peer that cannot be installed is left out, with a message. A whole run takes some 15 minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root

arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --quick) arguments+=(--rounds 3 --seconds 1 --settle-seconds 2) ;;
    --json)
      [ $# -gt 1 ] || { echo "run.sh: --json needs a file" >&2; exit 2; }
      arguments+=(--json "$(realpath -m "$2")")
      shift
      ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

cd "$root"
./deploy/install-deps.sh --bench
cmake --preset release
cmake --build --preset release --target holdfastd echo_server wire_bench
"$here/peers/install.sh" || echo "run.sh: without the peers that are not installed" >&2
exec build/release/tests/bench/wire_bench ${arguments[@]+"${arguments[@]}"}
