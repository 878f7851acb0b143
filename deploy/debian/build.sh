#!/usr/bin/env bash
# Makes the Debian package, build/PRESET/packages/holdfast_VERSION_ARCHITECTURE.deb, and prints its path.
#
#   build.sh [PRESET]        release (the default) or dev
set -euo pipefail

case ${1:-release} in
  release | dev) preset=${1:-release} ;;
  *) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset "$preset" >&2
cmake --build --preset "$preset" --target package_files >&2
# The bill of materials is part of the package.
deploy/sbom.sh --json --build "build/$preset" >"build/$preset/deploy/debian/files/share/doc/holdfast/sbom.json"
cpack --config "build/$preset/CPackConfig.cmake" >&2
ls "$PWD/build/$preset/packages"/*.deb
