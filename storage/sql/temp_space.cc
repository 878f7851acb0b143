#include "storage/sql/temp_space.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"

namespace holdfast::storage::sql {

bool TempSpace::Reserve(uint64_t bytes) { return ReserveUpTo(bytes, limits_.bytes_max); }

bool TempSpace::ReserveForImport(uint64_t bytes) { return ReserveUpTo(bytes, import_bytes_max()); }

bool TempSpace::ReserveUpTo(uint64_t bytes, uint64_t bytes_max) {
  if (free_bytes_ != nullptr) {
    const std::optional<uint64_t> free = free_bytes_();
    if (free && *free < limits_.disk_reserve_bytes + bytes) return false;
  }
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max) return true;
  Release(bytes);
  return false;
}

int TempSpace::OpenFile() {
  if (files_.fetch_add(1, std::memory_order_relaxed) >= limits_.files_max) {
    files_.fetch_sub(1, std::memory_order_relaxed);
    errno = EMFILE;
    return -1;
  }
  int file = open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    // Not every file system has files without a name.
    std::string name = absl::StrCat(directory_, "/sql-XXXXXX");
    file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) unlink(name.c_str());
  }
  if (file < 0) files_.fetch_sub(1, std::memory_order_relaxed);
  return file;
}

void TempSpace::CloseFile(int file) {
  close(file);
  files_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace holdfast::storage::sql
