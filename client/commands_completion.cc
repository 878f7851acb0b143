// completion: the scripts with which shells complete command lines of the tool. completion.h says what they call.

#include <string>

#include "client/commands.h"

namespace holdfast::client {
namespace {

// Bash splits words at = and : too, and only the part after the last of them is replaced. The words are put together
// again first, and the part before is taken off the answers at the end. Answers are quoted, since clients of the server
// have chosen the names of objects.
constexpr char kBash[] = R"script(# Completion of holdfast for bash: source <(holdfast completion bash)
_holdfast() {
  local line=${COMP_LINE:0:COMP_POINT} words=() i word breaks head about
  COMPREPLY=()
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $i -eq 0 || $line == [[:blank:]]* ]]; then words+=(''); fi
    line=${line#"${line%%[![:blank:]]*}"}
    if [[ $i -eq $COMP_CWORD ]]; then word=$line; fi
    line=${line#"$word"}
    words[${#words[@]} - 1]+=$word
  done
  local current=${words[${#words[@]} - 1]}
  if [[ $current == *[\'\"\$\`]* ]]; then return; fi
  words=("${words[@]//\\/}")
  current=${words[${#words[@]} - 1]}
  local lines=()
  mapfile -t lines < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
  if [[ ${lines[0]-} == files ]]; then
    compopt -o default
    return
  fi
  breaks=${COMP_WORDBREAKS//[^=:]/}
  head=
  if [[ -n $breaks && $current == *[$breaks]* ]]; then head=${current%"${current##*[$breaks]}"}; fi
  for line in "${lines[@]:1}"; do
    word=${line%%$'\t'*}
    printf -v word %q "${word#"$head"}"
    COMPREPLY+=("$word")
  done
}
complete -F _holdfast holdfast
)script";

constexpr char kZsh[] = R"script(#compdef holdfast
# Completion of holdfast for zsh: source <(holdfast completion zsh), after compinit; or a file _holdfast in $fpath.
_holdfast() {
  local line tab=$'\t'
  local -a lines names shown
  lines=("${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  if [[ ${lines[1]} == files ]]; then
    _files
    return
  fi
  for line in "${(@)lines[2,-1]}"; do
    names+=("${line%%$tab*}")
    shown+=("${line/$tab/  -- }")
  done
  if (( ! $#names )); then return 1; fi
  if [[ "${lines[2]}" == *$tab* ]]; then
    compadd -l -d shown -a names
  else
    compadd -a names
  fi
}
if [[ "${funcstack[1]}" == _holdfast ]]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
)script";

void AddShell(CommandGroup& group, const std::string& shell, const std::string& notes, const char* script) {
  group.OfflineCommand(shell, "Print the script for " + shell, [&](Arguments& arguments) -> CommandBody {
    arguments.Notes(notes);
    return [script](Session& session) {
      session.text().Raw(script);
      return kExitOk;
    };
  });
}

}  // namespace

void AddCompletionCommands(CommandGroup& root) {
  CommandGroup group = root.Group("completion", "Scripts with which a shell completes commands, options and names");
  AddShell(group, "bash",
           "In ~/.bashrc: source <(holdfast completion bash)\n"
           "Names of objects come from the server that the line names, 100 at most, in a second at most; without an "
           "answer there are none.",
           kBash);
  AddShell(group, "zsh",
           "In ~/.zshrc, after compinit: source <(holdfast completion zsh)\n"
           "Names of objects come from the server that the line names, 100 at most, in a second at most; without an "
           "answer there are none.",
           kZsh);
}

}  // namespace holdfast::client
