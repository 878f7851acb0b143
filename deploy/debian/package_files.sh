#!/usr/bin/env bash
# Makes what the package holds beside the sources: the programs without debug sections, man pages of their --help (one
# for each command of the tool), and the completions that the tool prints.
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

# The commands in the help of a command: the first column of their list; lines that are deeper go on with a description.
commands_of() { "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

page() { # SECTION NAME SHORT_DESCRIPTION SEE_ALSO COMMAND [INCLUDE]
  local file=$folder/share/man/man$1/$2.$1 include=$folder/include
  mkdir -p "${file%/*}"
  {
    [ -z "${6:-}" ] || cat "$6"
    printf '[SEE ALSO]\n%s\n' "$4"
  } >"$include"
  help2man --no-info --no-discard-stderr --section="$1" --name="$3" --version-string="$version" \
    --source="Holdfast $version" --manual=Holdfast --include="$include" "$5" |
    # The name of the page, where help2man takes words of the command.
    sed "s/^\.TH [^\"]*/.TH ${2^^} /; s/^holdfast[a-z -]* \\\\- /$2 \\\\- /" >"$file"
  gzip -9n "$file"
  rm "$include"
}

# A page for a command of the tool, and one for each command in it, such as holdfast-counter-increment(1).
pages() { # COMMAND WORD...
  local words=("$@") name also='' commands command about
  name=$(IFS=-; echo "$*")
  commands=$(commands_of "${words[@]}")
  for command in $commands; do
    pages "${words[@]}" "$command"
    also+=", $name-$command(1)"
  done
  if [ ${#words[@]} -gt 1 ]; then also+=", $(IFS=-; echo "${words[*]:0:${#words[@]}-1}")(1)"; else also+=', holdfastd(8)'; fi
  # In bold, but for the section.
  also=$(sed 's/^, //; s/\([a-z-]*\)(\([18]\))/\\fB\1\\fR(\2)/g' <<<"$also")
  # The words above its usage, to the first end of a clause.
  about=$("${words[@]}" --help | sed '/^Usage:/,$d' | tr '\n' ' ' | sed 's/[.;] .*//; s/[. ]*$//')
  page 1 "$name" "$about" "$also" "${words[*]}"
}
[ -n "$(commands_of holdfast)" ] || { echo "package_files: the tool names no commands" >&2; exit 1; }
pages holdfast
page 8 holdfastd 'the Holdfast server: durable objects over gRPC' '\fBholdfast\fR(1)' holdfastd "${0%/*}/holdfastd.h2m"

# An earlier tool has no such command.
if holdfast completion bash >/dev/null 2>&1; then
  mkdir -p "$folder/share/bash-completion/completions" "$folder/share/zsh/vendor-completions"
  holdfast completion bash >"$folder/share/bash-completion/completions/holdfast"
  holdfast completion zsh >"$folder/share/zsh/vendor-completions/_holdfast"
else
  echo "package_files: this tool prints no completions; the package has none"
fi
mkdir -p "$folder/share/doc/holdfast"
