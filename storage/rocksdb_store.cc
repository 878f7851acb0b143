#include "storage/rocksdb_store.h"

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "storage/format.h"
#include "storage/object_id.h"
#include "storage/rocksdb_file_system.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::StoreHeader;
using rocksdb::ColumnFamilyDescriptor;
using rocksdb::ColumnFamilyHandle;
using rocksdb::ColumnFamilyOptions;
using rocksdb::Slice;

// In the order of FamilyId. The first is the one that every RocksDB has.
constexpr const char* kNodeFamilies[] = {"default", "catalog", "alarms", "packed", "requests"};
constexpr size_t kOwnArenaBlockBytes = 4 << 10;
constexpr size_t kOwnWriteBufferBytes = 8 << 20;
constexpr int kOwnLevels = 4;
constexpr int kOpenFilesMax = 4096;
constexpr int kBloomBitsPerKey = 10;

constexpr uint64_t kInlineDeletedMax = 1000;
constexpr int kLockTriesMax = 40;
constexpr absl::Duration kLockTryAfter = absl::Milliseconds(50);

absl::Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) return absl::DataLossError(status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(status.ToString());
  return absl::InternalError(status.ToString());
}

bool IsLocked(const rocksdb::Status& status) {
  return status.IsIOError() && absl::StrContains(status.ToString(), "LOCK");
}

bool IsNodeFamily(const std::string& name) {
  return std::find(std::begin(kNodeFamilies), std::end(kNodeFamilies), name) != std::end(kNodeFamilies);
}

absl::Status InDirectory(const std::string& data_dir, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("data directory ", data_dir, ": ", status.message()));
}

absl::Status InUse(const std::string& data_dir, const rocksdb::Status& status) {
  return absl::UnavailableError(
      absl::StrCat("data directory ", data_dir, " is in use by another process (", status.ToString(), ")"));
}

absl::Status NoHoldfastStore(const std::string& data_dir) {
  return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, " is no Holdfast store"));
}

// Looking at a store leaves no log of it.
class NoLog : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::ReadOptions Reading(ReadTier tier) {
  rocksdb::ReadOptions options;
  if (tier == ReadTier::kMemory) {
    options.read_tier = rocksdb::kBlockCacheTier;
    // Walking over what was deleted takes time too.
    options.max_skippable_internal_keys = kInlineDeletedMax;
  }
  return options;
}

// A handle stays until its last reader is done, also when its family is dropped meanwhile.
using Family = std::shared_ptr<ColumnFamilyHandle>;

class RocksDbCursor : public Cursor {
 public:
  RocksDbCursor(rocksdb::DB* db, Family family, KeyRange range, ReadTier tier)
      : family_(std::move(family)), range_(std::move(range)), start_(range_.start), end_(range_.end) {
    if (family_ == nullptr) {
      iterator_.reset(rocksdb::NewErrorIterator(rocksdb::Status::InvalidArgument("read of a dropped family")));
      return;
    }
    rocksdb::ReadOptions options = Reading(tier);
    options.iterate_lower_bound = &start_;
    if (!range_.end.empty()) options.iterate_upper_bound = &end_;
    iterator_.reset(db->NewIterator(options, family_.get()));
  }

  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void SeekToLast() override { iterator_->SeekToLast(); }
  void Next() override { iterator_->Next(); }
  void Prev() override { iterator_->Prev(); }
  ReadResult state() const override {
    if (iterator_->Valid()) return ReadResult::kFound;
    const rocksdb::Status status = iterator_->status();
    if (status.ok()) return ReadResult::kAbsent;
    return status.IsIncomplete() ? ReadResult::kNeedsDisk : ReadResult::kError;
  }
  absl::Status error() const override { return FromRocksDb(iterator_->status()); }
  absl::string_view key() const override { return {iterator_->key().data(), iterator_->key().size()}; }
  absl::string_view value() const override { return {iterator_->value().data(), iterator_->value().size()}; }

 private:
  const Family family_;
  const KeyRange range_;
  const Slice start_;
  const Slice end_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksDbStore : public Store {
 public:
  RocksDbStore(const RocksDbOptions& options, std::unique_ptr<rocksdb::Env> env)
      : env_(std::move(env)), sync_(options.sync) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
    table.cache_index_and_filter_blocks = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
    table.format_version = 5;
    node_options_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    node_options_.compression = rocksdb::kLZ4Compression;
    node_options_.level_compaction_dynamic_level_bytes = true;
    own_options_ = node_options_;
    own_options_.arena_block_size = kOwnArenaBlockBytes;
    own_options_.write_buffer_size = kOwnWriteBufferBytes;
    own_options_.num_levels = kOwnLevels;

    db_options_.env = env_.get();
    db_options_.create_if_missing = true;
    db_options_.create_missing_column_families = true;
    db_options_.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    db_options_.avoid_flush_during_recovery = true;
    db_options_.max_total_wal_size = options.wal_bytes_max;
    db_options_.db_write_buffer_size = options.memtable_bytes;
    db_options_.max_open_files = kOpenFilesMax;
    db_options_.info_log_level = rocksdb::WARN_LEVEL;
    db_options_.keep_log_file_num = 4;
    db_options_.max_log_file_size = 16 << 20;
    db_options_.stats_dump_period_sec = 0;
    db_options_.stats_persist_period_sec = 0;
  }

  ~RocksDbStore() override {
    if (db_ == nullptr) return;
    families_.clear();
    (void)db_->Close();
  }

  absl::Status Open(const std::string& data_dir);

  ReadResult Get(FamilyId family, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    const Family handle = Find(family);
    if (handle == nullptr) {
      *error = absl::InternalError("read of a dropped family");
      return ReadResult::kError;
    }
    rocksdb::PinnableSlice slice(value);
    const rocksdb::Status status = db_->Get(Reading(tier), handle.get(), Slice(key.data(), key.size()), &slice);
    if (status.ok()) {
      if (slice.IsPinned()) {
        value->assign(slice.data(), slice.size());
      } else if (tier == ReadTier::kMemory && slice.data() != value->data()) {
        // Told not to block, RocksDB says OK of any key of a table that is not open, and sets no value.
        return ReadResult::kNeedsDisk;
      }
      return ReadResult::kFound;
    }
    if (status.IsNotFound()) return ReadResult::kAbsent;
    if (status.IsIncomplete()) return ReadResult::kNeedsDisk;
    *error = FromRocksDb(status);
    return ReadResult::kError;
  }

  std::unique_ptr<Cursor> NewCursor(FamilyId family, KeyRange range, ReadTier tier) override {
    return std::make_unique<RocksDbCursor>(db_.get(), Find(family), std::move(range), tier);
  }

  absl::Status Commit(absl::Span<const KeyspaceWrites> writes) override { return Write(writes, sync_); }

  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override {
    ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status status = db_->CreateColumnFamily(own_options_, std::string(name), &handle);
    if (!status.ok()) return FromRocksDb(status);
    return Add(handle);
  }

  absl::Status DropFamily(FamilyId family) override {
    Family handle;
    {
      std::unique_lock lock(mutex_);
      auto it = families_.find(family);
      if (it == families_.end()) return absl::InternalError("drop of a dropped family");
      handle = it->second;
      families_.erase(it);
    }
    return FromRocksDb(db_->DropColumnFamily(handle.get()));
  }

  std::vector<OwnFamily> ListOwnFamilies() override {
    std::shared_lock lock(mutex_);
    std::vector<OwnFamily> list;
    for (const auto& [id, handle] : families_) {
      if (id >= FamilyId::kFirstOwn) list.push_back({id, handle->GetName()});
    }
    return list;
  }

 private:
  absl::Status Write(absl::Span<const KeyspaceWrites> writes, bool sync);
  // Waits a while until no other process has the store open.
  absl::Status WaitForLock(const std::string& data_dir);
  // Whether what is there is a store of this version; reads only.
  absl::Status CheckExisting(const std::string& data_dir, const std::vector<std::string>& families);

  FamilyId Add(ColumnFamilyHandle* handle) {
    std::unique_lock lock(mutex_);
    const FamilyId id{next_family_++};
    families_[id] = Family(handle, [db = db_.get()](ColumnFamilyHandle* h) { (void)db->DestroyColumnFamilyHandle(h); });
    return id;
  }

  // Null if it was dropped.
  Family Find(FamilyId family) {
    std::shared_lock lock(mutex_);
    auto it = families_.find(family);
    return it == families_.end() ? nullptr : it->second;
  }

  const std::unique_ptr<rocksdb::Env> env_;
  const bool sync_;
  rocksdb::DBOptions db_options_;
  ColumnFamilyOptions node_options_;
  ColumnFamilyOptions own_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::shared_mutex mutex_;
  std::map<FamilyId, Family> families_;  // guarded by mutex_
  uint32_t next_family_ = 0;             // guarded by mutex_
};

absl::Status RocksDbStore::Open(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", data_dir, ": ", error.message()));
  }

  if (absl::Status status = WaitForLock(data_dir); !status.ok()) return status;
  // The names of all families are needed to open; in a directory without a store there are none to list.
  std::vector<std::string> existing;
  if (env_->FileExists(data_dir + "/CURRENT").ok()) {
    const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options_, data_dir, &existing);
    if (!status.ok()) return InDirectory(data_dir, FromRocksDb(status));
    if (absl::Status ours = CheckExisting(data_dir, existing); !ours.ok()) return ours;
  }
  std::vector<ColumnFamilyDescriptor> families;
  for (const char* name : kNodeFamilies) families.emplace_back(name, node_options_);
  for (const std::string& name : existing) {
    if (!IsNodeFamily(name)) families.emplace_back(name, own_options_);
  }

  rocksdb::DB* db = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::Open(db_options_, data_dir, families, &handles, &db);
  if (!status.ok()) return IsLocked(status) ? InUse(data_dir, status) : InDirectory(data_dir, FromRocksDb(status));
  db_.reset(db);
  for (ColumnFamilyHandle* handle : handles) Add(handle);

  std::string bytes;
  absl::Status header_error;
  if (Get(FamilyId::kNode, kStoreHeaderKey, ReadTier::kDisk, &bytes, &header_error) != ReadResult::kAbsent) {
    return header_error;
  }
  StoreHeader header;
  header.set_format_version(kFormatVersion);
  header.set_shard_count(kShardCount);
  WriteSet writes;
  writes.Put(kStoreHeaderKey, header.SerializeAsString());
  const Location node{FamilyId::kNode, ""};
  const KeyspaceWrites commit[] = {{&node, &writes}};
  return Write(commit, /*sync=*/true);
}

absl::Status RocksDbStore::WaitForLock(const std::string& data_dir) {
  const std::string path = data_dir + "/LOCK";
  rocksdb::FileLock* lock = nullptr;
  rocksdb::Status status = env_->LockFile(path, &lock);
  // A process that was killed a moment ago may still hold it.
  for (int tries = 0; tries < kLockTriesMax && !status.ok(); ++tries) {
    absl::SleepFor(kLockTryAfter);
    status = env_->LockFile(path, &lock);
  }
  if (!status.ok()) return InUse(data_dir, status);
  (void)env_->UnlockFile(lock);
  return absl::OkStatus();
}

absl::Status RocksDbStore::CheckExisting(const std::string& data_dir, const std::vector<std::string>& families) {
  rocksdb::DBOptions options = db_options_;
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.info_log = std::make_shared<NoLog>();
  rocksdb::DB* opened = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(
      options, data_dir, {ColumnFamilyDescriptor(kNodeFamilies[0], node_options_)}, &handles, &opened);
  if (status.IsInvalidArgument()) return NoHoldfastStore(data_dir);
  if (!status.ok()) return InDirectory(data_dir, FromRocksDb(status));
  const std::unique_ptr<rocksdb::DB> db(opened);
  const Family family(handles[0], [&db](ColumnFamilyHandle* h) { (void)db->DestroyColumnFamilyHandle(h); });

  std::string bytes;
  const rocksdb::Status found =
      db->Get(rocksdb::ReadOptions(), family.get(), Slice(kStoreHeaderKey.data(), kStoreHeaderKey.size()), &bytes);
  if (found.IsNotFound()) {
    // A crash came before the header, if there is nothing else either.
    const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator(rocksdb::ReadOptions(), family.get()));
    entries->SeekToFirst();
    const bool fresh =
        !entries->Valid() && entries->status().ok() && std::all_of(families.begin(), families.end(), IsNodeFamily);
    return fresh ? absl::OkStatus() : NoHoldfastStore(data_dir);
  }
  if (!found.ok()) return InDirectory(data_dir, FromRocksDb(found));
  StoreHeader header;
  if (!header.ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat("data directory ", data_dir, ": the store's header is garbled"));
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

absl::Status RocksDbStore::Write(absl::Span<const KeyspaceWrites> writes, bool sync) {
  rocksdb::WriteBatch batch;
  std::string start;
  std::string end;
  for (const KeyspaceWrites& part : writes) {
    const Family handle = Find(part.location->family);
    if (handle == nullptr) return absl::InternalError("a commit names a dropped family");
    ColumnFamilyHandle* const family = handle.get();
    const std::string& prefix = part.location->prefix;
    for (const KeyRange& range : part.writes->removed()) {
      start = prefix + range.start;
      end = range.end.empty() ? PrefixEnd(prefix) : prefix + range.end;
      // RocksDB has no open-ended range; in a family of an object all keys are below this one.
      if (end.empty()) end = "\xff";
      batch.DeleteRange(family, start, end);
    }
    for (const auto& [key, value] : part.writes->points()) {
      const Slice key_parts[] = {prefix, key};
      if (value) {
        const Slice value_part = *value;
        batch.Put(family, rocksdb::SliceParts(key_parts, 2), rocksdb::SliceParts(&value_part, 1));
      } else {
        batch.Delete(family, rocksdb::SliceParts(key_parts, 2));
      }
    }
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  return FromRocksDb(db_->Write(options, &batch));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options) {
  auto store = std::make_unique<RocksDbStore>(options, NewRocksDbEnv(options.lose_unsynced));
  if (absl::Status status = store->Open(options.data_dir); !status.ok()) return status;
  return store;
}

}  // namespace holdfast::storage
