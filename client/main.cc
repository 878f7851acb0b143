#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/terminal.h"
#include "client/tool.h"

int main(int argc, char** argv) {
  // gRPC would write lines of its own beside the tool's errors.
  setenv("GRPC_VERBOSITY", "NONE", 0);  // NOLINT(concurrency-mt-unsafe): there is no other thread yet
  return holdfast::client::RunTool(argc, argv, {std::cin, isatty(STDIN_FILENO) == 1}, std::cout, std::cerr,
                                   {.terminal = holdfast::client::FindTerminal()});
}
