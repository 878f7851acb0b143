#include "storage/rocksdb/existing.h"

#include <algorithm>
#include <cstdarg>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
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

// Looking at a store leaves no log of it.
class NoLog : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

absl::Status CheckLogs(const std::string& data_dir, rocksdb::DB* db, const std::vector<WalFile>& files) {
  absl::StatusOr<WalMarks> marks = ReadWalMarks(db->GetEnv(), data_dir);
  if (!marks.ok()) return marks.status();
  if (!db->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &marks->oldest)) {
    return absl::InternalError("RocksDB does not say which logs it needs");
  }
  return CheckWals(data_dir, files, *marks, db->GetLatestSequenceNumber());
}

absl::Status CheckHeader(const std::string& data_dir, rocksdb::DB* db, ColumnFamilyHandle* family,
                         bool only_node_families) {
  std::string bytes;
  const rocksdb::Status found =
      db->Get(rocksdb::ReadOptions(), family, Slice(kStoreHeaderKey.data(), kStoreHeaderKey.size()), &bytes);
  if (found.IsNotFound()) {
    // A crash came before the header, if there is nothing else either.
    const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator(rocksdb::ReadOptions(), family));
    entries->SeekToFirst();
    const bool fresh = !entries->Valid() && entries->status().ok() && only_node_families;
    return fresh ? absl::OkStatus() : NoHoldfastStore(data_dir);
  }
  if (!found.ok()) return InDirectory(data_dir, FromRocksDb(found));
  StoreHeader header;
  if (!header.ParseFromString(bytes)) {
    return InDirectory(data_dir, absl::DataLossError("the store's header is garbled"));
  }
  if (header.format_version() != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " has format version ",
                                                      header.format_version(), "; this program reads version ",
                                                      kFormatVersion));
  }
  if (header.shard_count() != kShardCount) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " has ", header.shard_count(),
                                                      " shards; this program has ", kShardCount));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckExistingStore(const std::string& data_dir, const rocksdb::DBOptions& db_options,
                                const rocksdb::ColumnFamilyOptions& node_options, bool check_logs,
                                bool (*is_node_family)(const std::string&), ExistingStore* existing) {
  if (!db_options.env->FileExists(data_dir + "/CURRENT").ok()) return absl::OkStatus();
  if (const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, data_dir, &existing->families);
      !status.ok()) {
    return InDirectory(data_dir, FromRocksDb(status));
  }
  // While RocksDB reads them too.
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
  const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(
      options, data_dir, {ColumnFamilyDescriptor(rocksdb::kDefaultColumnFamilyName, node_options)}, &handles, &opened);
  reader.join();
  if (status.IsInvalidArgument()) return NoHoldfastStore(data_dir);
  if (status.IsCorruption() && logs.ok()) {
    // RocksDB does not say which log it is.
    for (const WalFile& log : *logs) {
      if (!log.damage.ok()) return InDirectory(data_dir, log.damage);
    }
  }
  if (!status.ok()) return InDirectory(data_dir, FromRocksDb(status));
  const std::unique_ptr<rocksdb::DB> db(opened);
  const std::shared_ptr<ColumnFamilyHandle> family(
      handles[0], [&db](ColumnFamilyHandle* h) { (void)db->DestroyColumnFamilyHandle(h); });
  if (!logs.ok()) return logs.status();
  for (const WalFile& log : *logs) {
    if (!log.first) existing->empty_logs.push_back(log.number);
  }
  // First, since what the header is depends on the logs.
  if (check_logs) {
    if (absl::Status whole = CheckLogs(data_dir, db.get(), *logs); !whole.ok()) {
      return InDirectory(data_dir, whole);
    }
  }
  return CheckHeader(data_dir, db.get(), family.get(),
                     std::all_of(existing->families.begin(), existing->families.end(), is_node_family));
}

}  // namespace holdfast::storage
