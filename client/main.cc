#include <iostream>

#include "client/tool.h"

int main(int argc, char** argv) { return holdfast::client::RunTool(argc, argv, std::cout, std::cerr); }
