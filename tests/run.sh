#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit, property, the client and its tool, lint; against the real
# server integration, blackbox and scale; kills under load, the Python client, the recipes of the cookbook, and the
# comparison with workerd. From a clean clone on Debian 12 it needs nothing else.
#
#   run.sh [PRESET]    dev (the default), release, asan or tsan
#   run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-dev} in
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  dev | release | asan | tsan) preset=${1:-dev} ;;
  *) echo "run.sh: unknown preset '$1'" >&2; exit 2 ;;
esac

./deploy/install-deps.sh --tools
cmake --preset "$preset"
cmake --build --preset "$preset"
# One after the other: the tests of the real server measure themselves by what it answers, and the machine may be small.
ctest --preset "$preset" --timeout 900
