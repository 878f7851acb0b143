#!/usr/bin/env bash
# Builds a client of this folder, with code generated from proto/, under build/go-client; prints the path of its program.
#
#   build.sh NAME        NAME is a folder beside this script, e.g. drains
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
readonly here root
out=$root/build/go-client

mkdir -p "$out/source/gen"
(
  flock 9 # two runs at a time would write the same files
  cp -r "$here"/* "$out/source/"
  cd "$out/source"
  go build -o "$out/bin/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
  PATH=$out/bin:$PATH protoc -I "$root/proto" --go_out=gen --go-grpc_out=gen \
    --go_opt=paths=source_relative --go-grpc_opt=paths=source_relative "$root"/proto/holdfast/v1/*.proto
  go build -o "$out/bin/$1" "./$1"
) 9>"$out/lock" >&2
echo "$out/bin/$1"
