#!/usr/bin/env bash
# Installs what Holdfast is built from: Debian 12 packages, the .proto files of google.rpc and OTLP, and the source of
# SQLite.
# Changes nothing when nothing is missing.
#
#   install-deps.sh            what the server, the client and the C++ tests need
#   install-deps.sh --tools    the same and what only the other checks need: sanitizers, formatting, Python, npm
#   install-deps.sh --bench    the same as the first, and what the benchmarks compare with
#   install-deps.sh --check    installs nothing: names what is missing; exits 0 if nothing is, 1 otherwise
set -euo pipefail

build_packages=(
  clang-16 lld-16 llvm-16 g++ cmake ninja-build ccache pkg-config git ca-certificates
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libabsl-dev
  librocksdb-dev libpq-dev libspdlog-dev libxxhash-dev libcli11-dev libmimalloc-dev
  libssl-dev libboost1.74-dev nlohmann-json3-dev libyaml-cpp-dev
  libgtest-dev libgmock-dev
  prometheus-cpp-dev libcivetweb-dev
  # This Go package has the .proto file of grpc.health.v1, which no C++ package of Debian ships.
  golang-google-grpc-dev
  # Python's pip fetches the .proto files of google.rpc.
  python3 python3-venv
)
# The .proto files of google.rpc (error details) come from PyPI's package, since Debian has only versions that are too
# old. They are put into a place of their own, where proto/CMakeLists.txt looks for them.
googleapis="googleapis-common-protos==1.66.0"
googleapis_dir=/usr/local/share/holdfast/protos
# The amalgamation of SQLite comes from npm's package of a binding, which ships a current version: Debian 12 has 3.40.1,
# which statements of a client can crash. Only its two files are taken, and only if their checksums are these.
sqlite_version=3.53.2
sqlite_package=better-sqlite3@12.11.1
sqlite_dir=/usr/local/share/holdfast/sqlite/$sqlite_version
sqlite_sums="60d2f39a3726cd6b9021da6f4e868608d66fbb6528a9f513dc8ffcc640493422  sqlite3.c
9e69a1353a4288450b0d5239ede11fc7f1f4c8e5eb07491fc8317eacb5b7de7e  sqlite3.h"
# The .proto files of OTLP, in which spans are exported, come from npm's package of an exporter, the last one that ships
# them. They stand beside those of google.rpc, and only if their checksums are these.
otlp_package=@opentelemetry/otlp-grpc-exporter-base@0.38.0
otlp_sums="93bf485272d0785e3c4f5de3fcea8c60898faac604497fa1dd062fadea14a448  opentelemetry/proto/collector/trace/v1/trace_service.proto
f89f498d0d90b5dda496a4d367018229c1ca3f2cb7f5e613033e45a28ac7e9ca  opentelemetry/proto/trace/v1/trace.proto
6e37601a9fd16ff872d167d525d0ed87647dbfd09510e82f6b63ae92a72ec02e  opentelemetry/proto/common/v1/common.proto
b8ea46501d3d4ba7057a1257e363eb8a335d17d7595c157802ffb0bb26c85796  opentelemetry/proto/resource/v1/resource.proto"
# promtool checks the metrics and the rules for alerts, prometheus runs them, and etcd is what Patroni keeps its state in. They are taken out of
# Debian's packages, which are not installed: those would start servers.
promtool_dir=/usr/local/share/holdfast/promtool
etcd_dir=/usr/local/share/holdfast/etcd
# Patroni starts nothing as long as /etc/patroni has no configuration. redis-tools has the program of Redis's server
# under another name, and starts none. Chromium shows the console to its tests. zsh is a shell whose completion of the
# tool is tested; bash is there.
tool_packages=(
  clang-format-16 clang-tidy-16 libclang-rt-16-dev libfaketime postgresql-15 patroni redis-tools python3-yaml help2man zsh
  chromium
)
bench_packages=(libbenchmark-dev libevent-dev libhiredis-dev redis-server)

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

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
# A client in Go is among the tests.
if $tools && ! command -v go >/dev/null; then wanted+=(golang-go); fi
# TLC, which checks the model of ownership, is a program of Java, and a client in Java is among the tests.
if $tools && ! command -v javac >/dev/null; then wanted+=(openjdk-17-jdk-headless); fi
if $tools && ! command -v mvn >/dev/null; then wanted+=(maven); fi
# npm fetches the source of SQLite and the files of OTLP. If npm was installed from elsewhere, Debian's packages of it
# would get in its way.
sqlite_wanted=true
[ ! -f "$sqlite_dir/sqlite3.c" ] || sqlite_wanted=false
otlp_are_right() { (cd "$1" 2>/dev/null && sha256sum --check --status 2>/dev/null <<<"$otlp_sums"); }
otlp_missing=false
otlp_are_right "$googleapis_dir" || otlp_missing=true
if $sqlite_wanted || $otlp_missing || $tools || $bench; then
  command -v npm >/dev/null || wanted+=(nodejs npm)
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-deps: this is no Debian system. Install by hand what these packages of Debian 12 hold: ${wanted[*]};" \
    "the .proto files of PyPI's $googleapis and npm's $otlp_package in $googleapis_dir; and sqlite3.c and sqlite3.h of" \
    "SQLite $sqlite_version in $sqlite_dir" >&2
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done

protos_missing=false
[ -f "$googleapis_dir/google/rpc/error_details.proto" ] || protos_missing=true
sqlite_is_right() { (cd "$1" 2>/dev/null && sha256sum --check --status <<<"$sqlite_sums"); }
promtool_missing=false
! $tools || { [ -x "$promtool_dir/promtool" ] && [ -x "$promtool_dir/prometheus" ]; } || promtool_missing=true
etcd_missing=false
! $tools || [ -x "$etcd_dir/etcd" ] || etcd_missing=true
sqlite_missing=false
sqlite_is_right "$sqlite_dir" || sqlite_missing=true

if [ ${#missing[@]} -eq 0 ] && ! $protos_missing && ! $otlp_missing && ! $sqlite_missing && ! $promtool_missing &&
  ! $etcd_missing; then
  echo "install-deps: nothing is missing (${#wanted[@]} packages, $googleapis, SQLite $sqlite_version)"
  exit 0
fi
[ ${#missing[@]} -eq 0 ] || echo "install-deps: missing: ${missing[*]}"
! $protos_missing || echo "install-deps: missing: $googleapis in $googleapis_dir"
! $otlp_missing || echo "install-deps: missing: the .proto files of $otlp_package in $googleapis_dir"
! $sqlite_missing || echo "install-deps: missing: SQLite $sqlite_version in $sqlite_dir"
! $promtool_missing || echo "install-deps: missing: promtool and prometheus in $promtool_dir"
! $etcd_missing || echo "install-deps: missing: etcd in $etcd_dir"
if $check; then exit 1; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps: installing needs root, and there is no sudo: run this as root" >&2
    exit 1
  fi
  as_root=(sudo)
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }
if [ ${#missing[@]} -gt 0 ]; then
  echo "install-deps: installing them with apt-get"
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if $protos_missing; then
  echo "install-deps: installing $googleapis into $googleapis_dir"
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install -q --no-deps --target "$scratch/protos" "$googleapis"
  "${as_root[@]}" mkdir -p "$googleapis_dir/google/rpc"
  "${as_root[@]}" cp "$scratch"/protos/google/rpc/*.proto "$googleapis_dir/google/rpc/"
fi
if $sqlite_missing; then
  echo "install-deps: installing SQLite $sqlite_version into $sqlite_dir"
  # npm pack downloads the package and runs none of its scripts.
  (cd "$scratch" && npm pack --silent --ignore-scripts "$sqlite_package" >/dev/null && tar -xzf better-sqlite3-*.tgz)
  if ! sqlite_is_right "$scratch/package/deps/sqlite3"; then
    echo "install-deps: the source of SQLite in $sqlite_package is not the one that is expected" >&2
    exit 1
  fi
  "${as_root[@]}" mkdir -p "$sqlite_dir"
  "${as_root[@]}" cp "$scratch"/package/deps/sqlite3/sqlite3.[ch] "$sqlite_dir/"
fi
if $otlp_missing; then
  echo "install-deps: installing the .proto files of $otlp_package into $googleapis_dir"
  mkdir "$scratch/otlp"
  (cd "$scratch/otlp" && npm pack --silent --ignore-scripts "$otlp_package" >/dev/null && tar -xzf ./*.tgz)
  if ! otlp_are_right "$scratch/otlp/package/build/protos"; then
    echo "install-deps: the .proto files in $otlp_package are not those that are expected" >&2
    exit 1
  fi
  while read -r _ file; do
    "${as_root[@]}" install -D -m 644 "$scratch/otlp/package/build/protos/$file" "$googleapis_dir/$file"
  done <<<"$otlp_sums"
fi
unpack() { # PACKAGE DIRECTORY FILE...
  local package=$1 directory=$2 file
  echo "install-deps: installing ${*:3} of $package into $directory"
  apt update
  mkdir "$scratch/$package"
  (cd "$scratch/$package" && apt-get -q download "$package" && dpkg-deb -x "$package"_*.deb .)
  for file in "${@:3}"; do "${as_root[@]}" install -D "$scratch/$package/$file" "$directory/${file##*/}"; done
}
! $promtool_missing || unpack prometheus "$promtool_dir" usr/bin/promtool usr/bin/prometheus
! $etcd_missing || unpack etcd-server "$etcd_dir" usr/bin/etcd
echo "install-deps: done"
