#!/usr/bin/env bash
# Runs clang-tidy-16 with .clang-tidy over the C++ of storage, actors, service and client; every finding fails.
#
#   tidy.sh ROOT [--all] [--build DIR]
#
# By default it checks the files that changed since the branch left main, committed or not; on main itself, when nothing
# is uncommitted, those of the last commit. A header that changed stands for the .cc file of its name. With --all it
# checks all files. In a clone without the history that this needs it checks nothing, and exits
# with 77.
#
# DIR (ROOT/build/dev) is a configured tree with compile_commands.json, in which holdfast_proto is built.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$1"
shift
all=false build=build/dev
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=true ;;
    --build) build=$2; shift ;;
    *) echo "tidy: unknown argument '$1'" >&2; exit 2 ;;
  esac
  shift
done
readonly folders=(storage actors service client)

command -v clang-tidy-16 >/dev/null || { echo "tidy: no clang-tidy-16: deploy/install-deps.sh --tools" >&2; exit 1; }
[ -f "$build/compile_commands.json" ] || { echo "tidy: no $build/compile_commands.json: cmake --preset dev" >&2; exit 1; }

# Ends with the status that ctest takes for a skipped test.
nothing() { echo "tidy: CHECKS NOTHING: $*; --all checks the whole tree"; exit 77; }

# Prints the commit to compare with; empty when there is none.
base_commit() {
  local head main base
  head=$(git rev-parse --quiet --verify HEAD) || return 0
  for main in main origin/main; do
    base=$(git merge-base "$main" HEAD 2>/dev/null) && break
  done
  if [ "$base" = "$head" ] && [ -z "$(git status --porcelain -- "${folders[@]}")" ] || [ -z "$base" ]; then
    base=$(git rev-parse --quiet --verify HEAD~1) || true
  fi
  echo "$base"
}

if $all; then
  mapfile -t files < <(find "${folders[@]}" -name '*.cc' | sort)
  [ ${#files[@]} -gt 0 ] || { echo "tidy: no files found" >&2; exit 1; }
  since="of the whole tree"
else
  base=$(base_commit)
  [ -n "$base" ] || nothing "this clone has no history to compare with"
  mapfile -t files < <(
    { git diff --name-only "$base" -- "${folders[@]}"; git ls-files --others --exclude-standard -- "${folders[@]}"; } |
      sed -n 's/\.\(cc\|h\)$/.cc/p' | sort -u | while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done
  )
  since="that changed since $(git log -1 --format='%h (%s)' "$base")"
  [ ${#files[@]} -gt 0 ] || { echo "tidy: no files $since"; exit 0; }
fi

# clang-tidy counts on stderr the warnings of headers that it does not show.
if ! printf '%s\0' "${files[@]}" |
  xargs -0 -P "${TIDY_JOBS:-$(nproc)}" -n 1 clang-tidy-16 --quiet -p "$build" 2> >(grep -v ' warnings\? generated\.$' >&2); then
  echo "tidy: findings above, among ${#files[@]} files $since" >&2
  exit 1
fi
echo "tidy: ${#files[@]} files $since have no findings"
