#!/usr/bin/env bash
# The wire contract passes buf's STANDARD rules and its layout. Usage: buf.sh ROOT
# The tool comes from npm, pinned, into build/tools.
set -euo pipefail
cd "$1"
buf=build/tools/node_modules/.bin/buf
if [ ! -x "$buf" ]; then
  mkdir -p build/tools
  npm install --prefix build/tools --no-audit --no-fund --loglevel=error @bufbuild/buf@1.75.0
fi
"$buf" lint
"$buf" format --diff --exit-code proto
echo "buf: lint and format pass"
