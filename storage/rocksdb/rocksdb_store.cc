#include "storage/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "storage/base/group_access.h"
#include "storage/base/log.h"
#include "storage/base/mutex.h"
#include "storage/rocksdb/existing.h"
#include "storage/rocksdb/file_system.h"
#include "storage/rocksdb/listener.h"
#include "storage/rocksdb/node_families.h"
#include "storage/rocksdb/open_db.h"
#include "storage/rocksdb/patches.h"
#include "storage/rocksdb/rocksdb_cursor.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/table_work.h"
#include "storage/store/format.h"
#include "storage/store/object_id.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::StoreHeader;
using rocksdb::ColumnFamilyDescriptor;
using rocksdb::ColumnFamilyHandle;
using rocksdb::ColumnFamilyOptions;
using rocksdb::Slice;

constexpr size_t kOwnArenaBlockBytes = 4 << 10;
constexpr size_t kOwnWriteBufferBytes = 8 << 20;
constexpr int kOwnLevels = 4;
// Open files, of max_open_files, that RocksDB sets aside for files other than tables.
constexpr int kFilesBesideTables = 10;
// The value of max_open_files during the start, the least that RocksDB takes. RocksDB then opens two tables before
// anybody reads them, where it opens 16 otherwise. The start fails if one of these cannot be opened; for any other
// table, reads return DATA_LOSS.
constexpr int kOpenFilesAtStart = 20;
constexpr int kBloomBitsPerKey = 10;
// Filter bits for each key of the request records: with these, one new id in some thousands needs the disk.
constexpr int kRequestsBloomBitsPerKey = 16;
constexpr size_t kRequestsBlockBytes = 16 << 10;

constexpr int kLockTriesMax = 40;
constexpr absl::Duration kLockTryAfter = absl::Milliseconds(50);
constexpr auto kUpkeepEvery = std::chrono::milliseconds(100);

StoreHeader Header() {
  StoreHeader header;
  header.set_format_version(kFormatVersion);
  header.set_shard_count(kShardCount);
  return header;
}

absl::Status InUse(const std::string& data_dir, const rocksdb::Status& status) {
  return absl::UnavailableError(
      absl::StrCat("data directory ", data_dir, " is in use by another process (", status.ToString(), ")"));
}

class RocksDbStore : public OpenDb {
 public:
  explicit RocksDbStore(const RocksDbOptions& options)
      : env_(NewRocksDbEnv(options.lose_unsynced_seed)),
        data_dir_(options.data_dir),
        sync_(options.sync),
        wal_bytes_kept_(options.wal_bytes_kept),
        flush_at_start_(!options.log_above),
        open_files_max_(options.open_tables_max + kFilesBesideTables),
        space_(options.free_bytes ? options.free_bytes : FreeBytesOf(options.data_dir), options.disk_reserve_bytes),
        listener_(std::make_shared<RocksDbListener>(options.observer)) {
    rocksdb::BlockBasedTableOptions table;
    block_cache_ = rocksdb::NewLRUCache(options.block_cache_bytes);
    table.block_cache = block_cache_;
    table.cache_index_and_filter_blocks = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
    table.format_version = 5;
    node_options_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    node_options_.compression = rocksdb::kLZ4Compression;
    node_options_.level_compaction_dynamic_level_bytes = true;
    node_options_.merge_operator = NewPatchOperator();
    // Each request with an id looks for its record, and mostly there is none. The filters tell, and they are kept
    // outside the block cache, since reads of objects would drive them out of it.
    rocksdb::BlockBasedTableOptions requests_table = table;
    requests_table.cache_index_and_filter_blocks = false;
    requests_table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kRequestsBloomBitsPerKey));
    requests_table.block_size = kRequestsBlockBytes;
    requests_options_ = node_options_;
    requests_options_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(requests_table));
    own_options_ = node_options_;
    own_options_.arena_block_size = kOwnArenaBlockBytes;
    own_options_.write_buffer_size = kOwnWriteBufferBytes;
    own_options_.num_levels = kOwnLevels;

    // Counters only: a thread adds to numbers of its own core.
    statistics_ = rocksdb::CreateDBStatistics();
    statistics_->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
    db_options_.statistics = statistics_;
    db_options_.env = env_.get();
    db_options_.listeners.push_back(listener_);
    db_options_.create_if_missing = true;
    db_options_.create_missing_column_families = true;
    db_options_.wal_recovery_mode = options.log_above ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                                                      : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    db_options_.avoid_flush_during_recovery = true;
    // A log that is missing, or shorter than what was synced of it, is noticed if it is not the last one.
    db_options_.track_and_verify_wals_in_manifest = true;
    // Each executor has one thread that commits, and these threads take turns.
    db_options_.allow_concurrent_memtable_write = false;
    db_options_.max_total_wal_size = options.wal_bytes_max;
    db_options_.db_write_buffer_size = options.memtable_bytes;
    db_options_.max_open_files = kOpenFilesAtStart;
    // RocksDB starts these threads anew for each family: with 500 families that took most of the start.
    db_options_.max_file_opening_threads = 1;
    db_options_.info_log_level = rocksdb::WARN_LEVEL;
    db_options_.keep_log_file_num = 4;
    db_options_.max_log_file_size = 16 << 20;
    db_options_.stats_dump_period_sec = 0;
    db_options_.stats_persist_period_sec = 0;
  }

  ~RocksDbStore() override {
    if (upkeep_.joinable()) {
      {
        MutexLock lock(&upkeep_mutex_);
        closing_ = true;
      }
      upkeep_wake_.WakeOne();
      upkeep_.join();
    }
    if (db_ == nullptr) return;
    if (!DiskFull()) {
      const rocksdb::Status flushed = FlushLogsOver(wal_bytes_kept_);
      if (!flushed.ok()) Log(LogLevel::kWarning, "not_flushed", {{"status", flushed.ToString()}});
    }
    families_.clear();
    (void)db_->Close();
  }

  // Opens the store; called once, before all else.
  absl::Status Open();

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    const Family handle = Find(location.family);
    if (handle == nullptr) {
      *error = absl::InternalError("read of a dropped family");
      return ReadResult::kError;
    }
    rocksdb::ReadOptions options;
    if (tier == ReadTier::kMemory) options.read_tier = rocksdb::kBlockCacheTier;
    rocksdb::PinnableSlice slice(value);
    const std::string full_key = absl::StrCat(location.prefix, key);
    const rocksdb::Status status = db_->Get(options, handle.get(), full_key, &slice);
    if (status.ok()) {
      if (slice.IsPinned()) {
        value->assign(slice.data(), slice.size());
      } else if (tier == ReadTier::kMemory && slice.data() != value->data()) {
        // When it is told not to block, RocksDB returns OK for any key of a table that is not open, and sets no value.
        return ReadResult::kNeedsDisk;
      }
      return ReadResult::kFound;
    }
    if (status.IsNotFound()) return ReadResult::kAbsent;
    if (status.IsIncomplete()) return ReadResult::kNeedsDisk;
    *error = FromRocksDb(status);
    return ReadResult::kError;
  }

  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
    // RocksDB's iterators (7.8) cannot be told not to block: where a block that they need is not in memory they leave
    // keys out when they go backward, and abort when they meet a removed range. So every walk may block.
    if (tier == ReadTier::kMemory) return std::make_unique<StuckCursor>(StuckCursor::NeedsDisk());
    // Request records are walked only to count or to remove them, so their blocks are not kept.
    const bool keep = location.family != FamilyId::kRequests;
    return std::make_unique<RocksDbCursor>(db_.get(), Find(location.family), location, range, keep);
  }

  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override { return Write(writes, sync_); }

  bool DiskFull() override { return space_.full(); }

  StoreStats Stats() override {
    const auto sum = [this](const std::string& property) {
      uint64_t value = 0;
      return db_->GetAggregatedIntProperty(property, &value) ? value : 0;
    };
    StoreStats stats;
    stats.block_cache_bytes = block_cache_->GetUsage();
    stats.block_cache_bytes_max = block_cache_->GetCapacity();
    stats.block_cache_hits = statistics_->getTickerCount(rocksdb::BLOCK_CACHE_HIT);
    stats.block_cache_misses = statistics_->getTickerCount(rocksdb::BLOCK_CACHE_MISS);
    stats.memtable_bytes = sum(rocksdb::DB::Properties::kCurSizeAllMemTables);
    stats.table_bytes = sum(rocksdb::DB::Properties::kLiveSstFilesSize);
    stats.pending_compaction_bytes = sum(rocksdb::DB::Properties::kEstimatePendingCompactionBytes);
    stats.disk_free_bytes = space_.FreeBytesNow();
    stats.disk_reserve_bytes = space_.reserve_bytes();
    return stats;
  }

  absl::Status CompactTables(TableWorkGoesOn goes_on) override {
    std::vector<Family> families;
    {
      ReaderLock lock(&mutex_);
      for (const auto& [id, handle] : families_) families.push_back(handle);
    }
    return CompactFamilies(db_.get(), families, goes_on);
  }
  absl::Status CheckTables(uint64_t bytes_per_second, TableWorkGoesOn goes_on,
                           std::vector<DamagedTable>* damaged) override {
    Pace pace(
        bytes_per_second, [] { return absl::Now(); }, [](absl::Duration time) { absl::SleepFor(time); });
    return CheckAllTables(db_.get(), &pace, goes_on, damaged);
  }

  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override {
    if (DiskFull()) return absl::ResourceExhaustedError("the disk is full");
    ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status status = db_->CreateColumnFamily(own_options_, std::string(name), &handle);
    if (!status.ok()) return FromRocksDb(status);
    return Add(handle);
  }

  absl::Status DropFamily(FamilyId family) override {
    Family handle;
    {
      WriterLock lock(&mutex_);
      auto it = families_.find(family);
      if (it == families_.end()) return absl::InternalError("drop of a dropped family");
      handle = it->second;
      families_.erase(it);
    }
    return FromRocksDb(db_->DropColumnFamily(handle.get()));
  }

  std::vector<OwnFamily> ListOwnFamilies() override {
    ReaderLock lock(&mutex_);
    std::vector<OwnFamily> list;
    for (const auto& [id, handle] : families_) {
      if (id >= FamilyId::kFirstOwn) list.push_back({id, handle->GetName()});
    }
    return list;
  }

  rocksdb::DB* db() override { return db_.get(); }
  rocksdb::Status FlushLogsOver(uint64_t bytes) override;

 private:
  absl::Status Write(absl::Span<const KeyspaceWrites> writes, bool sync);
  // Waits a while until no other process has the store open.
  absl::StatusOr<rocksdb::FileLock*> TakeLock();
  absl::Status WriteHeader();

  // The loop of the upkeep thread.
  void Upkeep();
  void StopCompactionsOfCorrupt();
  // Flushes all families.
  rocksdb::Status Flush();

  FamilyId Add(ColumnFamilyHandle* handle) {
    WriterLock lock(&mutex_);
    const FamilyId id{next_family_++};
    families_[id] = Family(handle, [db = db_.get()](ColumnFamilyHandle* h) { (void)db->DestroyColumnFamilyHandle(h); });
    return id;
  }

  // Returns null if the family was dropped.
  Family Find(FamilyId family) {
    ReaderLock lock(&mutex_);
    auto it = families_.find(family);
    return it == families_.end() ? nullptr : it->second;
  }

  const std::unique_ptr<rocksdb::Env> env_;
  const std::string data_dir_;
  const bool sync_;
  const uint64_t wal_bytes_kept_;
  const bool flush_at_start_;
  const int open_files_max_;
  DiskSpace space_;
  const std::shared_ptr<RocksDbListener> listener_;
  std::shared_ptr<rocksdb::Cache> block_cache_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  rocksdb::DBOptions db_options_;
  ColumnFamilyOptions node_options_;
  ColumnFamilyOptions requests_options_;
  ColumnFamilyOptions own_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::thread upkeep_;

  SharedMutex mutex_;
  std::map<FamilyId, Family> families_ ABSL_GUARDED_BY(mutex_);
  uint32_t next_family_ ABSL_GUARDED_BY(mutex_) = 0;

  Mutex upkeep_mutex_;
  CondVar upkeep_wake_;
  bool closing_ ABSL_GUARDED_BY(upkeep_mutex_) = false;
};

absl::Status RocksDbStore::Open() {
  std::error_code error;
  if (std::filesystem::create_directories(data_dir_, error)) ShareWithGroup(data_dir_);
  if (error) {
    const auto code = error == std::errc::no_space_on_device ? absl::StatusCode::kResourceExhausted
                                                             : absl::StatusCode::kFailedPrecondition;
    return InDirectory(data_dir_, absl::Status(code, error.message()));
  }
  if (absl::Status room = space_.CheckOpen(); !room.ok()) return InDirectory(data_dir_, room);

  absl::StatusOr<rocksdb::FileLock*> lock = TakeLock();
  if (!lock.ok()) return lock.status();
  ShareFilesWithGroup(data_dir_);
  // RocksDB needs the names of all families to open the store.
  std::vector<std::string> existing;
  absl::Status checked = CheckExistingStore(data_dir_, db_options_, node_options_, IsNodeFamily, &existing);
  (void)env_->UnlockFile(*lock);  // RocksDB takes the lock itself
  if (!checked.ok()) return checked;
  std::vector<ColumnFamilyDescriptor> families;
  for (const char* name : kNodeFamilies) {
    const bool requests = name == kNodeFamilies[static_cast<size_t>(FamilyId::kRequests)];
    families.emplace_back(name, requests ? requests_options_ : node_options_);
  }
  for (const std::string& name : existing) {
    if (!IsNodeFamily(name)) families.emplace_back(name, own_options_);
  }

  rocksdb::DB* db = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::Open(db_options_, data_dir_, families, &handles, &db);
  if (IsLocked(status)) return InUse(data_dir_, status);
  if (!status.ok()) return OpenFailed(data_dir_, db_options_, node_options_, status);
  db_.reset(db);
  // SetDBOptions returns an error here, since RocksDB can't write its OPTIONS file; the option is set all the same.
  (void)db_->SetDBOptions({{"max_open_files", absl::StrCat(open_files_max_)}});
  for (ColumnFamilyHandle* handle : handles) Add(handle);

  space_.Refresh();
  // A store whose write-ahead logs have acknowledged commits that no log above has. Later starts read these logs as
  // those of folds, whose loss the log above notices, so nothing of the others may be left in them.
  if (flush_at_start_ && !existing.empty()) {
    const rocksdb::Status flushed = Flush();
    if (!flushed.ok()) return InDirectory(data_dir_, FromRocksDb(flushed));
  }
  if (absl::Status header = WriteHeader(); !header.ok()) return InDirectory(data_dir_, header);
  upkeep_ = std::thread([this] { Upkeep(); });
  return absl::OkStatus();
}

rocksdb::Status RocksDbStore::Flush() {
  std::vector<ColumnFamilyHandle*> handles;
  {
    ReaderLock lock(&mutex_);
    handles.reserve(families_.size());
    for (const auto& [id, handle] : families_) handles.push_back(handle.get());
  }
  return db_->Flush(rocksdb::FlushOptions(), handles);
}

rocksdb::Status RocksDbStore::FlushLogsOver(uint64_t bytes) {
  rocksdb::VectorLogPtr logs;
  if (rocksdb::Status status = db_->GetSortedWalFiles(logs); !status.ok()) return status;
  uint64_t logged = 0;
  for (const auto& log : logs) logged += log->SizeFileBytes();
  return logged <= bytes ? rocksdb::Status::OK() : Flush();
}

absl::StatusOr<rocksdb::FileLock*> RocksDbStore::TakeLock() {
  const std::string path = data_dir_ + "/LOCK";
  rocksdb::FileLock* lock = nullptr;
  rocksdb::Status status = env_->LockFile(path, &lock);
  // A process that was killed a moment ago may still hold the lock.
  for (int tries = 0; tries < kLockTriesMax && IsLocked(status); ++tries) {
    absl::SleepFor(kLockTryAfter);
    status = env_->LockFile(path, &lock);
  }
  if (IsLocked(status)) return InUse(data_dir_, status);
  if (!status.ok()) return InDirectory(data_dir_, FromRocksDb(status));
  return lock;
}

absl::Status RocksDbStore::WriteHeader() {
  const auto has_header = [&](FamilyId family) -> absl::StatusOr<bool> {
    std::string bytes;
    absl::Status error;
    StoreHeader header;
    const ReadResult found = Get(WholeFamily(family), kStoreHeaderKey, ReadTier::kDisk, &bytes, &error);
    if (found == ReadResult::kFound) {
      return header.ParseFromString(bytes) && header.format_version() == kFormatVersion;
    }
    if (found == ReadResult::kAbsent) return false;
    if (error.code() != absl::StatusCode::kDataLoss) return error;
    // CheckExistingStore has read the other one.
    Log(LogLevel::kError, "store_header_damaged", {{"status", error.ToString()}, {"header", "rewritten"}});
    return false;
  };
  WriteSet header;
  header.Put(kStoreHeaderKey, Header().SerializeAsString());
  const Location locations[] = {WholeFamily(FamilyId::kNode), WholeFamily(FamilyId::kRequests)};
  std::vector<KeyspaceWrites> commit;
  for (const Location& location : locations) {
    const absl::StatusOr<bool> has = has_header(location.family);
    if (!has.ok()) return has.status();
    if (!*has) commit.push_back({&location, &header});
  }
  return commit.empty() ? absl::OkStatus() : Write(commit, /*sync=*/true);
}

void RocksDbStore::StopCompactionsOfCorrupt() {
  for (const std::string& name : listener_->TakeCorrupt()) {
    Family family;
    {
      ReaderLock lock(&mutex_);
      for (const auto& [id, handle] : families_) {
        if (handle->GetName() == name) family = handle;
      }
    }
    if (family == nullptr) continue;
    // SetOptions returns an error here, since RocksDB can't write its OPTIONS file; the option is set all the same.
    (void)db_->SetOptions(family.get(), {{"disable_auto_compactions", "true"}});
    Log(LogLevel::kError, "corrupt_block", {{"family", name}, {"compaction", "off"}});
  }
}

void RocksDbStore::Upkeep() {
  MutexLock lock(&upkeep_mutex_);
  while (true) {
    const CondVar::Deadline round = std::chrono::steady_clock::now() + kUpkeepEvery;
    while (!closing_ && upkeep_wake_.WaitUntil(&upkeep_mutex_, round)) {
    }
    if (closing_) return;
    lock.Unlock();
    space_.Refresh();
    StopCompactionsOfCorrupt();
    lock.Lock();
  }
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
      // RocksDB has no open-ended range. All keys in a family of an object are below 0xFF.
      if (end.empty()) end = "\xff";
      batch.DeleteRange(family, start, end);
    }
    const WriteSet::Patches& patches = part.writes->patches();
    for (const auto& [key, value] : part.writes->points()) {
      const Slice key_parts[] = {prefix, key};
      if (const auto patch = patches.find(key); patch != patches.end()) {
        const Slice patch_part = patch->second;
        batch.Merge(family, rocksdb::SliceParts(key_parts, 2), rocksdb::SliceParts(&patch_part, 1));
      } else if (value) {
        const Slice value_part = *value;
        batch.Put(family, rocksdb::SliceParts(key_parts, 2), rocksdb::SliceParts(&value_part, 1));
      } else {
        batch.Delete(family, rocksdb::SliceParts(key_parts, 2));
      }
    }
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  const rocksdb::Status status = db_->Write(options, &batch);
  return FromRocksDb(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options) {
  auto store = std::make_unique<RocksDbStore>(options);
  if (absl::Status status = store->Open(); !status.ok()) return status;
  return store;
}

}  // namespace holdfast::storage
