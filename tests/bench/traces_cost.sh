#!/usr/bin/env bash
# The cost of traces: increments and reads of four servers in turn. One has no traces, one traces no call, one traces a
# call of a hundred, and one each call up to the bound of 1,000 a second. The spans go to a real collector on loopback.
# Wants a quiet machine, the preset "release", and tests/collector/build.sh.
#
#   traces_cost.sh [--no-collector] [OPTIONS]
#
#   --no-collector   the spans go to a port where nobody listens
#   OPTIONS          of wire_bench, in place of --cases increment,get-value --rounds 7
#
# BUILD, in the environment, is another tree than build/release, and HOLDFASTD another server than that of the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

with_collector=true arguments=()
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --no-collector) with_collector=false ;;
    *) arguments+=("$argument") ;;
  esac
done
build=$(realpath "${BUILD:-build/release}")
holdfastd=$(realpath "${HOLDFASTD:-$build/service/holdfastd}")
collector=build/tools/otelcol/otelcol
work=$(mktemp -d)
collector_pid=
end() {
  [ -z "$collector_pid" ] || kill "$collector_pid"
  rm -rf "$work"
}
trap end EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
if $with_collector; then
  [ -x "$collector" ] || { echo "traces_cost.sh: no $collector: tests/collector/build.sh" >&2; exit 1; }
  cat >"$work/collector.yaml" <<CONFIG
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:$port"}}}}
exporters: {file: {path: $work/spans.json}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [file]}}
CONFIG
  "$collector" --config "$work/collector.yaml" >"$work/collector.log" 2>&1 &
  collector_pid=$!
  for _ in $(seq 300); do
    ! grep -q "Everything is ready" "$work/collector.log" || break
    kill -0 "$collector_pid" || { cat "$work/collector.log" >&2; exit 1; }
    sleep 0.1
  done
fi

# Makes a program that is holdfastd with a traces section of its own: wire_bench gives all servers one configuration.
contender() { # NAME [SETTINGS]
  cat >"$work/$1" <<PROGRAM
#!/bin/bash
arguments=("\$@")
for ((i = 0; i < \$#; i++)); do
  if [ "\${arguments[i]}" = --config ]; then
    echo "traces { endpoint: \"127.0.0.1:$port\" $2 }" >>"\${arguments[i + 1]}"
  fi
done
exec "$holdfastd" "\$@"
PROGRAM
  chmod +x "$work/$1"
}
contender none "sampling_per_mille: 0"
contender hundredth "sampling_per_mille: 10"
contender bound "sampling_per_mille: 1000"

[ ${#arguments[@]} -gt 0 ] || arguments=(--cases increment,get-value --rounds 7)
"$build/tests/bench/wire_bench" "${arguments[@]}" --peers "" \
  --holdfast "off=$holdfastd" --holdfast "ratio-0=$work/none" --holdfast "ratio-0.01=$work/hundredth" \
  --holdfast "bound=$work/bound"
if $with_collector; then
  echo "the collector wrote $(grep -o '"spanId"' "$work/spans.json" | wc -l) spans in $(wc -l <"$work/spans.json") exports"
fi
