#!/usr/bin/env bash
# Runs the fuzz targets, one after the other, and prints how often each was executed.
#
#   run.sh SECONDS [TARGET...]     all targets, or the named ones, for so many seconds each
#
# The preset `fuzz` is built before: cmake --preset fuzz && cmake --build --preset fuzz. What libFuzzer learns stays in
# build/fuzz/corpus, so that the next run goes on from there. An input that breaks something is kept in
# build/fuzz/findings; `build/fuzz/tests/fuzz/fuzz_TARGET FILE` runs it again. Once it is mended it belongs into
# corpus/TARGET, where every build runs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
seconds=$1
shift
readonly here=tests/fuzz programs=build/fuzz/tests/fuzz learnt=build/fuzz/corpus findings=build/fuzz/findings
[ $# -gt 0 ] || set -- $(ls "$here/corpus")

# The longest input, in bytes, that makes sense for a target.
bytes_max() {
  case $1 in
    sql_import) echo 32768 ;;
    requests | log_records) echo 8192 ;;
    *) echo 2048 ;;
  esac
}

export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir -p "$findings"
failed=0
for target in "$@"; do
  mkdir -p "$learnt/$target"
  arguments=(-max_total_time="$seconds" -max_len="$(bytes_max "$target")" -timeout=25 -rss_limit_mb=3072
    -print_final_stats=1 -verbosity=1 -artifact_prefix="$findings/$target-")
  [ ! -f "$here/$target.dict" ] || arguments+=(-dict="$here/$target.dict")
  corpora=("$learnt/$target" "$here/corpus/$target")
  [ "$target" != sql_import ] || corpora+=(tests/cases)
  log=$learnt/$target.log
  status=ok
  "$programs/fuzz_$target" "${arguments[@]}" "${corpora[@]}" >"$log" 2>&1 || status=FAILED failed=1
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  coverage=$(grep -o ' cov: [0-9]*' "$log" | tail -1)
  printf '%-12s %10s executions, %6s edges covered  %s\n' "$target" "${executions:-?}" "${coverage#* cov: }" "$status"
  [ $status = ok ] || grep -E -m 5 'ERROR|event=invariant_broken|runtime error|SUMMARY|Test unit written' "$log" || tail -5 "$log"
done
exit $failed
