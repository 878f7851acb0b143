#!/usr/bin/env bash
# Tests the console, and connect-web's client, in a headless Chromium against the real server.
#
#   run.sh HOLDFASTD                      the short form
#   run.sh HOLDFASTD --full               also 1,000,000 objects and 100,000 keys; a tool that is missing is an error
#   run.sh HOLDFASTD --screenshots DIR    makes the pictures of docs/console
#
# HOLDFASTD is the path of the server's program. Needs Chromium, Node and npm, and grpcurl or Go. Without one of them the
# short form says which, and exits with 77. Keeps its packages, which npm fetches at pinned versions, under
# build/console-test.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root out=$root/build/console-test
HOLDFASTD=$(realpath "$1")
export HOLDFASTD
form=${2:-short}

skip() {
  echo "console: skipped: $*; deploy/install-deps.sh --tools installs what is missing" >&2
  if [ "$form" = short ]; then exit 77; else exit 1; fi
}
for tool in chromium node npm protoc; do
  command -v "$tool" >/dev/null || skip "there is no $tool"
done
CHROMIUM=$(command -v chromium)
export CHROMIUM
. "$root/tests/shared/grpcurl.sh" || skip "there is no grpcurl, and no go that builds it"
export GRPCURL=$grpcurl

mkdir -p "$out"
(
  flock 9 # two runs at a time would write the same files
  stamp=$(cat "$here/package-lock.json" "$root"/proto/holdfast/v1/*.proto | sha256sum)
  if [ "$(cat "$out/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$out/node_modules" "$out/gen" "$out/stamp"
    cp "$here/package.json" "$here/package-lock.json" "$out/"
    npm ci --prefix "$out" --ignore-scripts --no-audit --no-fund --loglevel=error
    mkdir "$out/gen"
    protoc -I "$root/proto" -I /usr/local/share/holdfast/protos \
      --plugin="protoc-gen-es=$out/node_modules/.bin/protoc-gen-es" --es_out="$out/gen" --es_opt=target=js,import_extension=js \
      "$root"/proto/holdfast/v1/*.proto google/rpc/error_details.proto
    echo "$stamp" >"$out/stamp"
  fi
) 9>"$out/lock"
# Modules of Node are found beside the files that import them.
ln -sfn "$here"/*.mjs "$out/"
readonly pictures=${3:+$(realpath -m "$3")}
cd "$out"
export NODE_OPTIONS=--preserve-symlinks\ --preserve-symlinks-main

case $form in
  short) exec node --test --test-concurrency=1 console.test.mjs connect_web.test.mjs ;;
  --full) HOLDFAST_MANY=1 exec node --test --test-concurrency=1 console.test.mjs connect_web.test.mjs size.test.mjs ;;
  --screenshots) exec node screenshots.mjs "$pictures" ;;
  *) echo "run.sh: unknown form '$form'" >&2; exit 2 ;;
esac
