// Completion of command lines, for the scripts that `holdfast completion` prints.
//
// The scripts call `holdfast __complete WORD...` with the words up to the cursor, the last of which may be empty. The
// answer is lines. The first is "files", if the shell completes the names of files, or else "words", and then each line
// is a word, and after a tab a phrase about it. Nothing is ever an error: a server that is not there, is slow, or
// refuses the caller has no names.
//
// Bounds: one call, of kCompletionTimeMax at most; kCompletionNamesMax names. Names with characters that are not
// printable are left out, since they would steer the terminal. The scripts quote the words, which clients of the server
// have chosen.

#ifndef HOLDFAST_CLIENT_COMPLETION_H_
#define HOLDFAST_CLIENT_COMPLETION_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/arguments.h"
#include "client/command_notes.h"

namespace holdfast::client {

inline constexpr absl::Duration kCompletionTimeMax = absl::Seconds(1);
inline constexpr size_t kCompletionNamesMax = 100;

// Makes the settings of the connection of the global options that are typed already, e.g. {"--server", "a:1"}.
using ParseGlobals = std::function<absl::StatusOr<GlobalOptions>(const std::vector<std::string>& options)>;

// Prints the completions of the last word.
void PrintCompletions(const CLI::App& app, const CommandNotes& notes, const ParseGlobals& parse_globals,
                      const std::vector<std::string>& words, std::ostream& out);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_COMPLETION_H_
