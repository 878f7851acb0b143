#!/usr/bin/env bash
# Builds the OpenTelemetry Collector of otelcol/ into build/tools/otelcol. go.mod has the versions of its modules, which
# come from Go's module proxy, and go.sum their checksums. They are pinned. The first
# build takes minutes.
#
#   build.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
readonly tools=$root/build/tools/otelcol

command -v go >/dev/null || { echo "build.sh: no go: deploy/install-deps.sh --tools" >&2; exit 1; }
mkdir -p "$tools"
(
  flock 9 # two runs at a time would write the same file
  cd "$here/otelcol"
  go build -mod=readonly -o "$tools/otelcol" .
) 9>"$tools/lock"
echo "build.sh: $("$tools/otelcol" --version) in $tools"
