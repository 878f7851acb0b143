#include "storage/base/check.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "storage/base/log.h"

namespace holdfast {

void EndBroken(const char* file, int line, const char* expression, const std::string& object) {
  const absl::string_view path = file;
  const absl::string_view name = path.substr(path.rfind('/') + 1);
  Log(LogLevel::kError, "invariant_broken",
      {{"at", absl::StrCat(name, ":", line)}, {"expression", expression}, {"object", object}});
  std::abort();
}

}  // namespace holdfast
