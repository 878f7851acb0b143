#!/usr/bin/env bash
# Every C++ file is laid out as clang-format-16 would. Usage: format.sh ROOT
set -euo pipefail
cd "$1"
mapfile -t files < <(find actors client examples proto service storage tests \( -name '*.h' -o -name '*.cc' \) | sort)
[ ${#files[@]} -gt 0 ] || { echo "format: no files found" >&2; exit 1; }
clang-format-16 --dry-run --Werror "${files[@]}"
echo "format: ${#files[@]} files are laid out as .clang-format says"
