#!/usr/bin/env bash
# Makes what the package holds beside the sources: the programs without debug sections, man pages of their --help, and the
# completions that the tool prints.
#
#   package_files.sh FOLDER HOLDFASTD HOLDFAST
set -euo pipefail

[ $# -eq 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$1 server=$2 tool=$3
readonly folder server tool
command -v help2man >/dev/null || { echo "package_files: no help2man: deploy/install-deps.sh --tools" >&2; exit 1; }
rm -rf "$folder"
mkdir -p "$folder"
# Symbols stay for backtraces; the debug sections, most of the size, do not.
strip --strip-debug -o "$folder/holdfastd" "$server"
strip --strip-debug -o "$folder/holdfast" "$tool"
PATH=$folder:$PATH
version=$(holdfastd --version)

# The first column of the list of commands; lines that are deeper go on with a description.
commands=$(holdfast --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ -n "$commands" ] || { echo "package_files: the tool names no commands" >&2; exit 1; }
see_also=$folder/see_also
{
  echo '[SEE ALSO]'
  # shellcheck disable=SC2086 # several names
  printf '.BR holdfast-%s (1),\n' $commands
  printf '.BR %s\n' 'holdfast (1),' 'holdfastd (8)'
} >"$see_also"

page() { # SECTION NAME COMMAND SHORT_DESCRIPTION
  local file=$folder/share/man/man$1/$2.$1
  mkdir -p "${file%/*}"
  help2man --no-info --no-discard-stderr --section="$1" --name="$4" --version-string="$version" \
    --source="Holdfast $version" --manual=Holdfast --include="$see_also" "$3" |
    # The name of the page, where help2man takes the first word of the command.
    sed "s/^\.TH [^ ]*/.TH ${2^^}/; s/^holdfast[a-z -]* \\\\- /$2 \\\\- /" >"$file"
  gzip -9n "$file"
}
page 8 holdfastd holdfastd 'the Holdfast server: durable objects over gRPC'
page 1 holdfast holdfast 'talks to a Holdfast server'
for command in $commands; do
  page 1 "holdfast-$command" "holdfast $command" "$(holdfast "$command" --help | sed -n '1s/\.\{0,1\}$//p')"
done

rm "$see_also"

# An earlier tool has no such command.
if holdfast completion bash >/dev/null 2>&1; then
  mkdir -p "$folder/share/bash-completion/completions" "$folder/share/zsh/vendor-completions"
  holdfast completion bash >"$folder/share/bash-completion/completions/holdfast"
  holdfast completion zsh >"$folder/share/zsh/vendor-completions/_holdfast"
else
  echo "package_files: this tool prints no completions; the package has none"
fi
mkdir -p "$folder/share/doc/holdfast"
