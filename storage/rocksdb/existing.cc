#include "storage/rocksdb/existing.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/sst_file_reader.h"
#include "storage/rocksdb/no_log.h"
#include "storage/rocksdb/status.h"
#include "storage/store/format.h"
#include "storage/store/object_id.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::StoreHeader;
using rocksdb::ColumnFamilyDescriptor;
using rocksdb::ColumnFamilyHandle;
using rocksdb::Slice;

absl::Status NoHoldfastStore(const std::string& data_dir) {
  return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " is no Holdfast store"));
}

// The family that has a copy of the header.
constexpr const char* kCopiesFamily = "requests";

Slice HeaderKey() { return {kStoreHeaderKey.data(), kStoreHeaderKey.size()}; }

// A store that is open to be read, with some of its families.
struct ReadOnly {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<ColumnFamilyHandle*> handles;

  ~ReadOnly() {
    for (ColumnFamilyHandle* const handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
  }
  rocksdb::Status Open(const rocksdb::DBOptions& options, const std::string& data_dir,
                       const std::vector<ColumnFamilyDescriptor>& families) {
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, data_dir, families, &handles, &opened);
    db.reset(opened);
    return status;
  }
};

// `read_copy` reads the copy of the header.
absl::Status CheckHeader(const std::string& data_dir, rocksdb::DB* db, ColumnFamilyHandle* family,
                         absl::FunctionRef<std::optional<StoreHeader>()> read_copy, bool only_node_families) {
  std::string bytes;
  const rocksdb::Status found = db->Get(rocksdb::ReadOptions(), family, HeaderKey(), &bytes);
  if (found.IsNotFound()) {
    // If there is nothing else either, a crash came before the header was written.
    const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator(rocksdb::ReadOptions(), family));
    entries->SeekToFirst();
    const bool fresh = !entries->Valid() && entries->status().ok() && only_node_families;
    return fresh ? absl::OkStatus() : NoHoldfastStore(data_dir);
  }
  std::optional<StoreHeader> copy;
  if (found.IsCorruption()) copy = read_copy();
  if (!found.ok() && !copy) return InDirectory(data_dir, FromRocksDb(found));
  StoreHeader header;
  if (!found.ok()) {
    header = *copy;
  } else if (!header.ParseFromString(bytes)) {
    return InDirectory(data_dir, absl::DataLossError("the store's header is garbled"));
  }
  if (header.format_version() < kOldestFormatVersion || header.format_version() > kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " has format version ",
                                                      header.format_version(), "; this program reads versions ",
                                                      kOldestFormatVersion, " to ", kFormatVersion));
  }
  if (header.shard_count() != kShardCount) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " has ", header.shard_count(),
                                                      " shards; this program has ", kShardCount));
  }
  return absl::OkStatus();
}

// Returns the paths of tables that cannot be opened, up to kNamedMax, each with its error.
std::string TablesNotOpened(const std::string& data_dir, const rocksdb::Options& options) {
  constexpr int kNamedMax = 3;
  int named = 0;
  std::string names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(data_dir, error), end; !error && it != end && named < kNamedMax;
       it.increment(error)) {
    if (it->path().extension() != ".sst") continue;
    const std::string path = it->path();
    const rocksdb::Status status = rocksdb::SstFileReader(options).Open(path);
    if (status.ok()) continue;
    absl::StrAppend(&names, "; table ", path, ": ", status.ToString());
    ++named;
  }
  return names;
}

}  // namespace

absl::Status OpenFailed(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                        const rocksdb::ColumnFamilyOptions& node_options, const rocksdb::Status& status) {
  if (!status.IsCorruption()) return InDirectory(data_dir, FromRocksDb(status));
  const std::string tables = TablesNotOpened(data_dir, rocksdb::Options(db_options, node_options));
  return InDirectory(
      data_dir, absl::DataLossError(
                    absl::StrCat(status.ToString(), tables, ". Without it the store would say of what was there that ",
                                 "it is not, so it is not opened: put the data directory back from a copy")));
}

absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options,
                                bool (*is_node_family)(const std::string&), std::vector<std::string>* families) {
  if (!db_options.env->FileExists(data_dir + "/CURRENT").ok()) return absl::OkStatus();
  if (const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, data_dir, families); !status.ok()) {
    return InDirectory(data_dir, FromRocksDb(status));
  }
  rocksdb::DBOptions options = db_options;
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.info_log = std::make_shared<NoLog>();
  options.listeners.clear();
  const ColumnFamilyDescriptor header_family(rocksdb::kDefaultColumnFamilyName, node_options);
  ReadOnly store;
  const rocksdb::Status status = store.Open(options, data_dir, {header_family});
  if (status.IsInvalidArgument()) return NoHoldfastStore(data_dir);
  if (!status.ok()) return OpenFailed(data_dir, db_options, node_options, status);
  const auto read_copy = [&]() -> std::optional<StoreHeader> {
    ReadOnly copies;
    std::string bytes;
    StoreHeader header;
    if (!copies.Open(options, data_dir, {header_family, {kCopiesFamily, node_options}}).ok() ||
        !copies.db->Get(rocksdb::ReadOptions(), copies.handles[1], HeaderKey(), &bytes).ok() ||
        !header.ParseFromString(bytes)) {
      return std::nullopt;
    }
    return header;
  };
  return CheckHeader(data_dir, store.db.get(), store.handles[0], read_copy,
                     std::all_of(families->begin(), families->end(), is_node_family));
}

}  // namespace holdfast::storage
