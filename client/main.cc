#include <unistd.h>

#include <iostream>

#include "client/tool.h"

int main(int argc, char** argv) {
  return holdfast::client::RunTool(argc, argv, {std::cin, isatty(STDIN_FILENO) == 1}, std::cout, std::cerr);
}
