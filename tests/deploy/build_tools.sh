#!/usr/bin/env bash
# Builds helm, kustomize, and compose-spec, which reads files of Docker Compose as Compose does, into build/tools/deploy, out
# of Go's module proxy at pinned versions. The first build takes minutes.
#
#   build_tools.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly tools=$root/build/tools/deploy
# Newer versions of kustomize need a newer Go.
readonly modules=(
  helm.sh/helm/v3/cmd/helm@v3.18.4 sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
  github.com/compose-spec/compose-go/v2/cmd@v2.9.0
)

command -v go >/dev/null || { echo "build_tools.sh: no go: deploy/install-deps.sh --tools" >&2; exit 1; }
mkdir -p "$tools"
(
  flock 9 # two runs at a time would write the same files
  for module in "${modules[@]}"; do GOBIN=$tools go install "$module"; done
  mv "$tools/cmd" "$tools/compose-spec"
) 9>"$tools/lock"
echo "build_tools.sh: helm $("$tools/helm" version --short 2>/dev/null), kustomize $("$tools/kustomize" version) in $tools"
