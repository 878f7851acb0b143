#!/usr/bin/env bash
# Builds examples/leaderboard out of tree from an installed Holdfast, runs its test, and calls its server.
#
#   leaderboard.sh BUILD        BUILD is the tree of CMake that built Holdfast; all that is made goes to BUILD/leaderboard
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
fail() { echo "${0##*/}: $*" >&2; exit 1; }

[ $# -eq 1 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
build=$(realpath "$1")
out=$build/leaderboard
mkdir -p "$out"
exec 9>"$out/lock"
flock 9 # two runs at a time would write the same files

echo "== install"
rm -rf "$out/prefix" "$out/source"
cmake --install "$build" --prefix "$out/prefix" --component development >"$out/install.log"
# A repository of its own: nothing of the tree is near it.
cp -r "$root/examples/leaderboard" "$out/source"
(cd "$out/source" && find . -type f | sort)

echo "== build"
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake -S "$out/source" -B "$out/build" -G Ninja -DCMAKE_CXX_COMPILER=clang++-16 -DCMAKE_PREFIX_PATH="$out/prefix" \
  ${launcher[@]+"${launcher[@]}"} >"$out/configure.log" || { cat "$out/configure.log"; fail "the package was not found"; }
cmake --build "$out/build"

echo "== test"
ctest --test-dir "$out/build" --output-on-failure --no-tests=error

echo "== serve"
. "$root/tests/clients/python/environment.sh"
rm -rf "$out/gen"
mkdir "$out/gen"
"$python_client/venv/bin/python" -m grpc_tools.protoc -I "$out/source/proto" -I "$out/prefix/share/holdfast/proto" \
  --python_out="$out/gen" --grpc_python_out="$out/gen" leaderboard/v1/leaderboard.proto
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$python_client/gen:$out/gen \
  "$python_client/venv/bin/python" "$here/call_leaderboard.py" "$out/build/leaderboardd"
