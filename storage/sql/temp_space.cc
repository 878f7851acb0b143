#include "storage/sql/temp_space.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace holdfast::storage::sql {

bool TempSpace::Reserve(uint64_t bytes) {
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max_) return true;
  Release(bytes);
  return false;
}

int TempSpace::OpenFile() const {
  if (const int file = open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); file >= 0) return file;
  // Not every file system has files without a name.
  std::string name = absl::StrCat(directory_, "/sql-XXXXXX");
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) unlink(name.c_str());
  return file;
}

}  // namespace holdfast::storage::sql
