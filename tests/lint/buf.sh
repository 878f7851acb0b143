#!/usr/bin/env bash
# The wire contract passes buf's STANDARD rules and its layout, and does not break the clients of the last release.
#
#   buf.sh ROOT              compares with the image of the last release, tests/lint/contract/VERSION.binpb
#   buf.sh ROOT --release    makes the image of the version of CMakeLists.txt, in place of the older one: part of a release.
#                            A version has one image; the next one needs the next version.
#
# The tool comes from npm, pinned, into build/tools.
set -euo pipefail
cd "$1"
buf=build/tools/node_modules/.bin/buf
if [ ! -x "$buf" ]; then
  mkdir -p build/tools
  npm install --prefix build/tools --no-audit --no-fund --loglevel=error @bufbuild/buf@1.75.0
fi
images=(tests/lint/contract/*.binpb)
if [ "${2:-}" = --release ]; then
  version=$(sed -n 's/^project(holdfast VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
  image=tests/lint/contract/$version.binpb
  if [ -f "$image" ]; then
    echo "buf: $image is there; raise the version in CMakeLists.txt first" >&2
    exit 1
  fi
  mkdir -p "${image%/*}"
  "$buf" build --exclude-source-info --output "$image"
  for old in "${images[@]}"; do
    [ ! -f "$old" ] || rm "$old"
  done
  echo "buf: $image is written"
  exit 0
fi
[ ${#images[@]} -eq 1 ] && [ -f "${images[0]}" ] || { echo "buf: one image of a release is due in tests/lint/contract" >&2; exit 1; }
"$buf" lint
"$buf" format --diff --exit-code proto
"$buf" breaking --against "${images[0]}"
echo "buf: lint and format pass; nothing breaks the clients of ${images[0]}"
