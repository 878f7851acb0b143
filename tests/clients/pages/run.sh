#!/usr/bin/env bash
# Runs each page of docs/clients as it stands (test_pages.py). A language whose tool chain is missing is named and left
# out; with --all that is a failure.
#
#   run.sh HOLDFASTD BUILD [--all] [LANGUAGE...]    HOLDFASTD is the path of the server's program, BUILD the tree of CMake
#                                                   that built it; without a LANGUAGE all: go python typescript java cpp
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
clients=$root/tests/clients
readonly here root clients

[ $# -ge 2 ] || { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }
server=$(realpath "$1") build=$(realpath "$2")
shift 2
. "$clients/python/pytest.sh"
. "$clients/tool_chains.sh"
all=false
if [ "${1:-}" = --all ]; then
  all=true
  shift
fi
[ $# -gt 0 ] || set -- go python typescript java cpp

languages=()
for language in "$@"; do
  # The page on Go uses what Go has had since 1.24; the other tests do with Debian's.
  if has_tools_of "$language" && { [ "$language" != go ] || go_is_at_least 24; }; then
    languages+=("$language")
  else
    echo "pages: skipped $language: its tool chain is missing"
    if $all; then fail "$language cannot be skipped"; fi
  fi
done
[ ${#languages[@]} -gt 0 ] || fail "no language has its tool chain here"
export HOLDFAST_PAGES="${languages[*]}" HOLDFAST_BUILD=$build
run_pytest "$here" "$clients/conformance:$clients/python" "$server"
