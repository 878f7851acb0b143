#!/usr/bin/env bash
# docs/api.md is what the comments of the contract say. Usage: api.sh ROOT [--write]
# protoc-gen-doc comes from Go's module proxy, pinned, into build/tools; api.tmpl is the form of the page.
set -euo pipefail
cd "$1"
readonly version=v1.5.1
tool=$PWD/build/tools/protoc-gen-doc-$version/protoc-gen-doc
if [ ! -x "$tool" ]; then
  command -v go >/dev/null || { echo "api.sh: no go: deploy/install-deps.sh --tools" >&2; exit 1; }
  GOBIN=${tool%/*} go install "github.com/pseudomuto/protoc-gen-doc/cmd/protoc-gen-doc@$version"
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
protoc -I proto --plugin="$tool" --doc_out="$out" --doc_opt=tests/lint/api.tmpl,api.md proto/holdfast/v1/*.proto
# An empty line of a comment is one, and so is the end of the page.
sed -i 's/[[:space:]]*$//' "$out/api.md"
if [ "${2:-}" = --write ]; then
  cp "$out/api.md" docs/api.md
  echo "api: docs/api.md is written"
elif diff -u docs/api.md "$out/api.md"; then
  echo "api: docs/api.md is what the contract says"
else
  echo "api: docs/api.md is out of date: tests/lint/api.sh . --write" >&2
  exit 1
fi
