// The command-line tool `holdfast`, as a function.

#ifndef HOLDFAST_CLIENT_TOOL_H_
#define HOLDFAST_CLIENT_TOOL_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <ostream>

#include "client/command.h"

namespace holdfast::client {

// Parses the command line (argv[0] is the program's name), makes the calls, prints to `out` and errors to `err`, and
// returns the exit status: 0 success, 1 a failed call, 2 bad usage, 3 a denied limit if --exit-code asks for it. It
// reads the environment variables and the file of settings.h and contexts.h, and `in` if the command takes input.
int RunTool(int argc, const char* const* argv, Input in, std::ostream& out, std::ostream& err,
            Surroundings surroundings = {});

// Shows all commands and options of the tool, and what they say of themselves; both last as long as the call.
void DescribeCommands(const std::function<void(const CLI::App& app, const CommandNotes& notes)>& look);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_TOOL_H_
