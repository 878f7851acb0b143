#!/usr/bin/env bash
# Builds the TypeScript client of this folder, with code that protobuf-ts generates from proto/, under
# build/typescript-client; prints the command that runs it. npm fetches the packages, as package-lock.json pins them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
readonly here root
out=$root/build/typescript-client

mkdir -p "$out"
(
  flock 9 # two runs at a time would write the same files
  cd "$out"
  inputs=$(cat "$here"/*.json "$here"/*.ts "$root"/proto/holdfast/v1/*.proto | sha256sum)
  if [ "$(cat stamp 2>/dev/null)" != "$inputs" ]; then
    rm -rf stamp gen
    mkdir gen
    cp "$here"/*.json "$here"/*.ts .
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
    protoc -I "$root/proto" -I node_modules/google-proto-files --plugin=node_modules/.bin/protoc-gen-ts --ts_out=gen \
      --ts_opt=long_type_bigint,generate_dependencies "$root"/proto/holdfast/v1/*.proto google/rpc/status.proto google/rpc/error_details.proto
    node_modules/.bin/tsc
    echo "$inputs" >stamp
  fi
) 9>"$out/lock" >&2
echo "node $out/out/conformance.js"
