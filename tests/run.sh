#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit, property, simulation, fuzz, the client and its tool,
# lint; against the real server integration, blackbox and scale, kills under load, several nodes, clients in other
# languages, the HTTP port, the console, the recipes of the cookbook, and the comparison with workerd (README.md lists
# all). From a clean clone on Debian 12 it needs nothing else.
#
#   run.sh [PRESET]        dev (the default), release, asan or tsan. With dev, the unit tests of storage and actors run
#                          under asan too, and the end shows how long each suite took and how long it may take.
#   run.sh --full [PART]   the sanitizers and the long forms, one part after the other, or only the named part. A part of
#                          all is ended after 2 hours. A test that is skipped fails its part.
#   run.sh --help
#
# The parts:
#
#   unit-asan       unit tests, the client and its tool under the address and undefined behaviour sanitizers
#   unit-tsan       the same under the thread sanitizer
#   blackbox-asan   integration, blackbox, HTTP, upgrade, property and simulation under the same two
#   blackbox-tsan   integration, blackbox, HTTP and upgrade under the thread sanitizer
#   unit-long       200,000 statements with joins, 20,000 damaged files
#   crash           100 rounds of kills
#   cluster         20 rounds of each kind of fault of three nodes on PostgreSQL, and a session that shows a cluster
#   patroni         20 rounds of each kind of fail-over of three PostgreSQL under Patroni, with three nodes on them
#   postgres        blackbox, with the objects of all servers in PostgreSQL; moves to families of their own are left out
#   property        1,000 sequences of 200 steps, of calls and of SQL
#   simulation      10,000 seeds of the simulations of one node and of a cluster
#   fuzz            a minute of each fuzz target
#   scale           50,000 objects
#   differential    480 sequences and 600 of SQL from a new seed, an alarm that fails to its end, the test of the test
#   drains          200 drains
#   envoy           Envoy's rate limit service behind the real Envoy, and beside the real envoyproxy/ratelimit on Redis
#   clients         the same cases in five languages, the pages of docs/clients as they stand, an object class out of tree
#   collector       traces against the real OpenTelemetry Collector, which Go builds from its published modules
#   console         the console and a browser's client in Chromium, with 1,000,000 objects and 100,000 keys
#   model           the model of ownership and hand-over, whole and with each rule taken away
#   tidy            clang-tidy over the whole tree
#   kubernetes      Kustomize and Helm on a real Kubernetes of one node; needs root
#   package         the Debian package under a real systemd; needs root
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly parts=(
  unit-asan unit-tsan blackbox-asan blackbox-tsan unit-long crash cluster patroni postgres property simulation fuzz
  scale differential drains clients envoy collector console model tidy kubernetes package)
readonly part_seconds_max=7200

build() { # PRESET [TARGET...]
  local preset=$1
  shift
  cmake --preset "$preset"
  cmake --build --preset "$preset" ${1:+--target "$@"}
}

# Runs the tests of some labels; fails if one is skipped.
all_of() { # PRESET LABELS
  local results=$PWD/build/$1/results.xml
  ctest --preset "$1" -L "^($2)\$" --timeout 900 --no-tests=error --output-junit "$results"
  python3 tests/results.py skips "$results"
}

# Runs a program of dev by itself, since its tests take longer here than ctest gives them; fails if one is skipped.
long_form() { # PROGRAM [GTEST ARGUMENTS...]
  local program=$1
  shift
  long_form_on "build/dev/tests/$program" "$@"
}
long_form_on() { # COMMAND... [GTEST ARGUMENTS...]
  local results=$PWD/build/dev/results.xml
  rm -f "$results"
  "$@" --gtest_output="xml:$results"
  python3 tests/results.py skips "$results"
}

run_part() { # PART
  local sanitizer=${1#*-} server=$PWD/build/dev/service/holdfastd
  case $1 in
    unit-asan | unit-tsan)
      build "$sanitizer" storage_test actors_test objects_test service_test client_cli_test
      all_of "$sanitizer" 'unit|client'
      ;;
    blackbox-asan)
      build asan holdfastd holdfast integration_test blackbox_test upgrade_test property_test simulation_test
      all_of asan 'integration|blackbox|http|upgrade|property|simulation'
      ;;
    blackbox-tsan)
      build tsan holdfastd holdfast integration_test blackbox_test upgrade_test
      all_of tsan 'integration|blackbox|http|upgrade'
      ;;
    unit-long)
      build dev storage_test
      HOLDFAST_JOIN_STATEMENTS=200000 HOLDFAST_DAMAGED_FILES=20000 \
        long_form unit/storage_test --gtest_filter='*SqlJoins*:*SqlImportFile*'
      ;;
    crash)
      build dev holdfastd crash_test
      HOLDFAST_CRASH_ROUNDS=100 long_form crash/crash_test
      ;;
    cluster)
      build dev holdfastd cluster_faults_test
      HOLDFAST_CLUSTER_ROUNDS=${HOLDFAST_CLUSTER_ROUNDS:-20} long_form cluster/cluster_faults_test
      tests/cluster/show.sh "$server"
      ;;
    patroni)
      build dev holdfastd patroni_faults_test
      HOLDFAST_CLUSTER_ROUNDS=${HOLDFAST_CLUSTER_ROUNDS:-20} long_form cluster/patroni_faults_test
      ;;
    postgres)
      build dev holdfastd blackbox_test
      long_form_on tests/shared/with_postgres.sh "$server" \
        build/dev/tests/blackbox/blackbox_test --gtest_filter='-*WhileItMovesLosesNothing'
      ;;
    property)
      build dev property_test property_postgres_test
      for program in property_test property_postgres_test; do
        HOLDFAST_PROPERTY_SEQUENCES=1000 HOLDFAST_PROPERTY_STEPS=200 long_form "property/$program"
      done
      ;;
    simulation)
      build dev simulation_test cluster_simulation_test
      HOLDFAST_SIMULATION_SEEDS=10000 long_form simulation/simulation_test
      HOLDFAST_SIMULATION_SEEDS=10000 long_form simulation/cluster_simulation_test
      ;;
    fuzz)
      build fuzz fuzz_targets
      tests/fuzz/run.sh 60
      ;;
    scale)
      build dev holdfastd scale_test
      HOLDFAST_SCALE_OBJECTS=50000 long_form scale/scale_test
      ;;
    differential)
      build dev holdfastd
      tests/differential/run.sh "$server" --sequences 480 --sql-sequences 600 --seconds 3600 --give-up
      tests/differential/run.sh --self-test --sequences 12
      ;;
    drains)
      build dev holdfastd
      tests/clients/go/drains.sh "$server" -drains 200
      ;;
    envoy)
      tests/envoy/install.sh
      build dev holdfastd envoy_test
      long_form envoy/envoy_test
      ;;
    clients)
      build dev holdfastd holdfast_client conformance_cpp
      tests/clients/conformance/run.sh "$server" build/dev/tests/clients/cpp/conformance_cpp --all
      tests/clients/pages/run.sh "$server" build/dev --all
      tests/examples/leaderboard.sh build/dev
      ;;
    collector)
      tests/collector/build.sh
      build dev holdfastd collector_test
      long_form collector/collector_test
      ;;
    console)
      build dev holdfastd
      tests/console/run.sh "$server" --full
      ;;
    model)
      cmake --preset dev
      all_of dev model
      ;;
    tidy)
      build dev holdfast_proto
      tests/lint/tidy.sh . --all
      ;;
    kubernetes)
      tests/deploy/build_tools.sh
      build release holdfastd holdfast
      tests/deploy/render.py . --holdfastd build/release/service/holdfastd
      tests/deploy/compose.py . build/release/service/holdfastd build/release/client/holdfast
      for form in "" --helm --cluster "--helm --cluster"; do
        # shellcheck disable=SC2086 # several options
        deploy/kubernetes/test.sh --binary-dir build/release $form
      done
      ;;
    package)
      deploy/debian/test.sh "$(deploy/debian/build.sh)"
      ;;
  esac
}

run_all_parts() {
  local part started status results=() failed=0
  for part in "${parts[@]}"; do
    echo "run.sh: part $part"
    started=$SECONDS status=passed
    # In the background, since timeout makes a process group of its own, which Ctrl-C does not reach.
    timeout --kill-after=60 "$part_seconds_max" tests/run.sh --full "$part" &
    trap "kill $!; exit 130" INT TERM
    wait $! || { status="FAILED ($?)" failed=1; }
    trap - INT TERM
    results+=("$(printf '%-14s %5d s  %s' "$part" $((SECONDS - started)) "$status")")
  done
  echo
  printf '%s\n' "${results[@]}"
  return $failed
}

# Runs the unit tests of storage and actors under asan, the two programs side by side. The tests of SqlJoins compare
# answers for minutes there, and are left to --full.
run_unit_asan() {
  local program pids=() status=0
  build asan storage_test actors_test || return
  for program in storage_test actors_test; do
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 "build/asan/tests/unit/$program" --gtest_brief=1 \
      --gtest_filter='-*SqlJoins*' >"build/asan/$program.log" 2>&1 &
    pids+=($!)
  done
  for program in storage_test actors_test; do
    echo "run.sh: $program under asan"
    if wait "${pids[0]}"; then
      grep '^\[' "build/asan/$program.log"
    else
      status=1
      cat "build/asan/$program.log"
    fi
    pids=("${pids[@]:1}")
  done
  return $status
}

run_preset() { # PRESET
  local preset=$1 results=$PWD/build/$1/results.xml log=build/$1/ctest.log started status=0 asan_status=0
  build "$preset"
  # Two at a time: the tests of the real server measure themselves by what it answers, and the machine may be small.
  ctest --preset "$preset" -j 2 -LE '^model$' --timeout 900 --output-junit "$results" 2>&1 | tee "$log" || status=$?
  [ "$preset" = dev ] || return $status

  started=$SECONDS
  run_unit_asan || asan_status=$?
  python3 tests/results.py took build/dev "$results" unit-asan=$((SECONDS - started)) || status=1
  [ $asan_status -eq 0 ] || echo "run.sh: unit tests FAILED under asan: see above"
  # The last lines are those with which ctest closed.
  echo
  sed -n '/^[0-9]*% tests passed/,$p' "$log"
  [ $status -ne 0 ] || status=$asan_status
  return $status
}

preset=dev part=
case ${1:-dev} in
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
  dev | release | asan | tsan) preset=${1:-dev} ;;
  --full)
    part=${2:-all}
    case " all ${parts[*]} " in
      *" $part "*) ;;
      *) echo "run.sh: unknown part '$part'; there are: ${parts[*]}" >&2; exit 2 ;;
    esac
    ;;
  *) echo "run.sh: unknown preset '$1'" >&2; exit 2 ;;
esac

./deploy/install-deps.sh --tools
case $part in
  "") run_preset "$preset" ;;
  all) run_all_parts ;;
  *) run_part "$part" ;;
esac
