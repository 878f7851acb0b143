#include "storage/rocksdb/status.h"

#include <cerrno>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::storage {

absl::Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) return absl::DataLossError(status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(status.ToString());
  return absl::InternalError(status.ToString());
}

// RocksDB says this only in the text of the status.
bool IsLocked(const rocksdb::Status& status) {
  if (!status.IsIOError()) return false;
  const std::string text = status.ToString();
  if (absl::StartsWith(text, "IO error: lock hold by current process")) return true;
  return absl::StartsWith(text, "IO error: While lock file: ") &&
         (absl::EndsWith(text, std::generic_category().message(EAGAIN)) ||
          absl::EndsWith(text, std::generic_category().message(EACCES)));
}

absl::Status InDirectory(const std::string& data_dir, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("data directory ", data_dir, ": ", status.message()));
}

}  // namespace holdfast::storage
