#!/usr/bin/env bash
# Installs what Holdfast is built from: Debian 12 packages, and the .proto files of google.rpc. Changes nothing when
# nothing is missing.
#
#   install-deps.sh            what the server, the client and the C++ tests need
#   install-deps.sh --tools    the same and what only the other checks need: sanitizers, formatting, Python, npm
#   install-deps.sh --bench    the same as the first, and what the benchmarks compare with
#   install-deps.sh --check    installs nothing: names what is missing; exits 0 if nothing is, 1 otherwise
set -euo pipefail

build_packages=(
  clang-16 lld-16 llvm-16 g++ cmake ninja-build ccache pkg-config git ca-certificates
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libabsl-dev
  librocksdb-dev libsqlite3-dev libspdlog-dev libxxhash-dev libcli11-dev
  libgtest-dev libgmock-dev
  # Only for the .proto file of grpc.health.v1: no C++ package of Debian ships it.
  golang-google-grpc-dev
  # For pip, which fetches the .proto files of google.rpc.
  python3 python3-venv
)
# The .proto files of google.rpc (error details), which Debian has only in versions that are too old: from PyPI's
# package, into a place of their own, where proto/CMakeLists.txt looks for them.
googleapis="googleapis-common-protos==1.66.0"
googleapis_dir=/usr/local/share/holdfast/protos
tool_packages=(clang-format-16 libclang-rt-16-dev)
bench_packages=(libbenchmark-dev libevent-dev libhiredis-dev redis-server)

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }

tools=false check=false bench=false
while [ $# -gt 0 ]; do
  case $1 in
    --tools) tools=true ;;
    --bench) bench=true ;;
    --check) check=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install-deps: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

wanted=("${build_packages[@]}")
if $bench; then wanted+=("${bench_packages[@]}"); fi
if $tools; then wanted+=("${tool_packages[@]}"); fi
if $tools || $bench; then
  # Where npm is there from elsewhere, Debian's packages of it would only get in its way.
  command -v npm >/dev/null || wanted+=(nodejs npm)
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-deps: this is no Debian system. Install by hand what these packages of Debian 12 hold: ${wanted[*]};" \
    "and the .proto files of PyPI's $googleapis in $googleapis_dir" >&2
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done

protos_missing=false
[ -f "$googleapis_dir/google/rpc/error_details.proto" ] || protos_missing=true

if [ ${#missing[@]} -eq 0 ] && ! $protos_missing; then
  echo "install-deps: nothing is missing (${#wanted[@]} packages, $googleapis)"
  exit 0
fi
[ ${#missing[@]} -eq 0 ] || echo "install-deps: missing: ${missing[*]}"
! $protos_missing || echo "install-deps: missing: $googleapis in $googleapis_dir"
if $check; then exit 1; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps: installing needs root, and there is no sudo: run this as root" >&2
    exit 1
  fi
  as_root=(sudo)
fi

if [ ${#missing[@]} -gt 0 ]; then
  apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }
  echo "install-deps: installing them with apt-get"
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
fi
if $protos_missing; then
  echo "install-deps: installing $googleapis into $googleapis_dir"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install -q --no-deps --target "$scratch/protos" "$googleapis"
  "${as_root[@]}" mkdir -p "$googleapis_dir/google/rpc"
  "${as_root[@]}" cp "$scratch"/protos/google/rpc/*.proto "$googleapis_dir/google/rpc/"
fi
echo "install-deps: done"
