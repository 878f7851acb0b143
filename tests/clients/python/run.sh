#!/usr/bin/env bash
# Tests the server through a client in Python, from the contract alone: code generated from proto/, nothing shared with
# the C++ side. Starts servers of its own on free loopback ports with temporary data.
#
#   run.sh HOLDFASTD [PYTEST ARGUMENTS...]        HOLDFASTD is the path of the server's program
#   HOLDFASTD=PATH run.sh [PYTEST ARGUMENTS...]
#
# Keeps its virtual environment and generated code under build/python-client, and makes them anew when
# requirements.txt, the Python or the contract has changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=$root/build/python-client
readonly here root build

fail() { echo "run.sh: $*" >&2; exit 1; }

server=${HOLDFASTD:-}
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  server=$1
  shift
fi
[ -n "$server" ] || fail "which server? Name its program as the first argument, or in HOLDFASTD"
[ -x "$server" ] || fail "$server is no program"
server=$(realpath "$server")
python3 -c 'import venv, ensurepip' 2>/dev/null || fail "python3 -m venv does not work: deploy/install-deps.sh --tools"

# Runs a step unless the stamp says that it was done for these very inputs.
unless_done() { # stamp, inputs, command...
  local stamp=$build/$1 inputs=$2
  shift 2
  if [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ]; then return; fi
  rm -f "$stamp"
  "$@"
  echo "$inputs" >"$stamp"
}

make_environment() {
  echo "run.sh: making the virtual environment"
  rm -rf "$build/venv"
  python3 -m venv "$build/venv"
  "$build/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

generate_code() {
  echo "run.sh: generating code from proto/"
  rm -rf "$build/gen"
  mkdir -p "$build/gen"
  "$build/venv/bin/python" -m grpc_tools.protoc -I "$root/proto" --python_out="$build/gen" \
    --grpc_python_out="$build/gen" "$root"/proto/holdfast/v1/*.proto
}

mkdir -p "$build"
(
  flock 9 # two runs at a time would write the same files
  unless_done venv.stamp "$(python3 -c 'import sys; print(sys.prefix, sys.version)' | cat - "$here/requirements.txt" |
    sha256sum)" make_environment
  unless_done gen.stamp "$(cat "$build/venv.stamp" "$root"/proto/holdfast/v1/*.proto | sha256sum)" generate_code
) 9>"$build/lock"

export HOLDFASTD=$server PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$build/gen
exec "$build/venv/bin/python" -m pytest -p no:cacheprovider --strict-markers -W error::pytest.PytestWarning \
  --rootdir "$here" "$here" "$@"
