#include "service/console/console_files.h"

namespace holdfast::service {

const ConsoleFile* FindConsoleFile(std::string_view path) {
  for (const ConsoleFile& file : ConsoleFiles()) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

}  // namespace holdfast::service
