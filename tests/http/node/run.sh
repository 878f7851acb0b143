#!/usr/bin/env bash
# Runs the client of Connect for Node against a server of its own: run.sh HOLDFASTD
# The packages come from npm at the versions of package.json and the lock file; they and the generated code go into
# build/http-node.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=$root/build/http-node
readonly here root build
[ -x "${1:-}" ] || { echo "usage: run.sh HOLDFASTD" >&2; exit 2; }
command -v node >/dev/null || { echo "http.node: skipped, there is no node (deploy/install-deps.sh --tools)"; exit 77; }

mkdir -p "$build"
(
  flock 9 # two runs at a time would write the same files
  inputs=$(cat "$here"/package*.json "$root"/proto/holdfast/v1/*.proto | sha256sum)
  if [ "$(cat "$build/stamp" 2>/dev/null)" != "$inputs" ]; then
    rm -f "$build/stamp"
    cp "$here"/package*.json "$build"
    npm ci --prefix "$build" --no-audit --no-fund --loglevel=error
    rm -rf "$build/gen"
    mkdir -p "$build/gen"
    protoc -I "$root/proto" --plugin="$build/node_modules/.bin/protoc-gen-es" --es_out="$build/gen" \
      --es_opt=target=js,import_extension=js "$root"/proto/holdfast/v1/*.proto
    # Debian has the .proto file of the service that every gRPC server has.
    health=/usr/share/gocode/src/google.golang.org/grpc/debian/missing-sources/grpc/grpc-proto/master
    protoc -I "$health" --plugin="$build/node_modules/.bin/protoc-gen-es" --es_out="$build/gen" \
      --es_opt=target=js,import_extension=js grpc/health/v1/health.proto
    echo "$inputs" >"$build/stamp"
  fi
) 9>"$build/lock"
cp "$here/test.mjs" "$build/test.mjs"
exec env HOLDFASTD="$(realpath "$1")" python3 "$here/serve.py" node "$build/test.mjs"
