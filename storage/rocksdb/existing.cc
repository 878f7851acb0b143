#include "storage/rocksdb/existing.h"

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/sst_file_reader.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/wal_check.h"
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

// The check of a store leaves no log of RocksDB's.
class NoLog : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

absl::Status CheckLogs(const std::string& data_dir, rocksdb::DB* db, const std::vector<WalFile>& files,
                       WalMarks* marks) {
  if (!db->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &marks->oldest)) {
    return absl::InternalError("RocksDB does not say which logs it needs");
  }
  return CheckWals(data_dir, files, *marks, db->GetLatestSequenceNumber());
}

// Sets the ends of torn logs, and returns whether there are any.
bool CutTornLogs(const std::vector<WalFile>& files, FileEnds* ends) {
  bool torn = false;
  for (const WalFile& log : files) {
    if (!log.torn_at) continue;
    ends->Set(log.path, *log.torn_at);
    torn = true;
  }
  return torn;
}

// `copy` is used if the header itself cannot be read.
absl::Status CheckHeader(const std::string& data_dir, rocksdb::DB* db, ColumnFamilyHandle* family,
                         const std::optional<StoreHeader>& copy, bool only_node_families) {
  std::string bytes;
  const rocksdb::Status found =
      db->Get(rocksdb::ReadOptions(), family, Slice(kStoreHeaderKey.data(), kStoreHeaderKey.size()), &bytes);
  if (found.IsNotFound()) {
    // If there is nothing else either, a crash came before the header was written.
    const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator(rocksdb::ReadOptions(), family));
    entries->SeekToFirst();
    const bool fresh = !entries->Valid() && entries->status().ok() && only_node_families;
    return fresh ? absl::OkStatus() : NoHoldfastStore(data_dir);
  }
  if (!found.ok() && (!found.IsCorruption() || !copy)) return InDirectory(data_dir, FromRocksDb(found));
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
                                const rocksdb::ColumnFamilyOptions& node_options, bool check_logs,
                                bool (*is_node_family)(const std::string&), FileEnds* ends, ExistingStore* existing) {
  if (!db_options.env->FileExists(data_dir + "/CURRENT").ok()) return absl::OkStatus();
  if (const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, data_dir, &existing->families);
      !status.ok()) {
    return InDirectory(data_dir, FromRocksDb(status));
  }
  // The logs are read while RocksDB reads them too.
  absl::StatusOr<std::vector<WalFile>> logs = std::vector<WalFile>();
  std::thread reader([&] {
    if (check_logs) logs = ReadWals(data_dir);
  });

  rocksdb::DBOptions options = db_options;
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.info_log = std::make_shared<NoLog>();
  options.listeners.clear();
  rocksdb::DB* opened = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  const auto open = [&] {
    return rocksdb::DB::OpenForReadOnly(options, data_dir,
                                        {ColumnFamilyDescriptor(rocksdb::kDefaultColumnFamilyName, node_options)},
                                        &handles, &opened);
  };
  rocksdb::Status status = open();
  reader.join();
  if (logs.ok() && CutTornLogs(*logs, ends) && status.IsCorruption()) status = open();
  if (status.IsInvalidArgument()) return NoHoldfastStore(data_dir);
  if (status.IsCorruption() && logs.ok()) {
    // RocksDB does not say which log is damaged.
    for (const WalFile& log : *logs) {
      if (!log.damage.ok()) return InDirectory(data_dir, log.damage);
    }
  }
  if (!status.ok()) return OpenFailed(data_dir, db_options, node_options, status);
  const std::unique_ptr<rocksdb::DB> db(opened);
  const std::shared_ptr<ColumnFamilyHandle> family(
      handles[0], [&db](ColumnFamilyHandle* h) { (void)db->DestroyColumnFamilyHandle(h); });
  if (!logs.ok()) return logs.status();
  for (const WalFile& log : *logs) {
    if (!log.first) existing->empty_logs.push_back(log.number);
  }
  WalMarks marks;
  if (check_logs) {
    absl::StatusOr<WalMarks> recorded = ReadWalMarks(db->GetEnv(), data_dir);
    if (!recorded.ok()) return InDirectory(data_dir, recorded.status());
    marks = *std::move(recorded);
    // The logs are checked first, since the header depends on them.
    if (absl::Status whole = CheckLogs(data_dir, db.get(), *logs, &marks); !whole.ok()) {
      return InDirectory(data_dir, whole);
    }
  }
  return CheckHeader(data_dir, db.get(), family.get(), marks.header,
                     std::all_of(existing->families.begin(), existing->families.end(), is_node_family));
}

}  // namespace holdfast::storage
