#include "storage/rocksdb/store_copy.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "storage/rocksdb/no_log.h"
#include "storage/rocksdb/node_families.h"
#include "storage/rocksdb/patches.h"
#include "storage/rocksdb/rocksdb_cursor.h"
#include "storage/rocksdb/status.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage {
namespace {

using rocksdb::ColumnFamilyHandle;

constexpr size_t kCacheBytes = 8 << 20;
constexpr int kOpenTablesMax = 64;

absl::Status ReadOnly() { return absl::InternalError("a copy of a store is only read"); }

class StoreCopy final : public Store {
 public:
  explicit StoreCopy(std::shared_ptr<rocksdb::Env> env) : env_(std::move(env)) {}

  ~StoreCopy() override {
    families_.clear();
    if (db_ != nullptr) (void)db_->Close();
  }

  rocksdb::Status Open(const std::string& name, absl::FunctionRef<bool(absl::string_view name)> wanted) {
    rocksdb::DBOptions options;
    options.env = env_.get();
    options.info_log = std::make_shared<NoLog>();
    options.max_open_files = kOpenTablesMax;
    options.max_file_opening_threads = 1;
    // A copy has its write-ahead logs whole.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
    table.cache_index_and_filter_blocks = true;
    rocksdb::ColumnFamilyOptions family_options;
    family_options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    family_options.merge_operator = NewPatchOperator();

    std::vector<std::string> names;
    if (rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, name, &names); !status.ok()) return status;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* node : kNodeFamilies) families.emplace_back(node, family_options);
    for (const std::string& own : names) {
      if (!IsNodeFamily(own) && wanted(own)) families.emplace_back(own, family_options);
    }
    std::vector<ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, name, families, &handles, &db);
    if (!status.ok()) return status;
    db_.reset(db);
    for (size_t i = 0; i < handles.size(); ++i) {
      families_[static_cast<FamilyId>(i)] =
          Family(handles[i], [db](ColumnFamilyHandle* handle) { (void)db->DestroyColumnFamilyHandle(handle); });
    }
    return status;
  }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    if (tier == ReadTier::kMemory) return ReadResult::kNeedsDisk;
    const auto family = families_.find(location.family);
    if (family == families_.end()) return ReadResult::kAbsent;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), family->second.get(), absl::StrCat(location.prefix, key), value);
    if (status.ok()) return ReadResult::kFound;
    if (status.IsNotFound()) return ReadResult::kAbsent;
    *error = FromRocksDb(status);
    return ReadResult::kError;
  }

  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
    if (tier == ReadTier::kMemory) return std::make_unique<StuckCursor>(StuckCursor::NeedsDisk());
    const auto family = families_.find(location.family);
    if (family == families_.end()) return std::make_unique<StuckCursor>(ReadResult::kAbsent, absl::OkStatus());
    return std::make_unique<RocksDbCursor>(db_.get(), family->second, location, range, /*keep=*/false);
  }

  std::vector<OwnFamily> ListOwnFamilies() override {
    std::vector<OwnFamily> list;
    for (const auto& [id, handle] : families_) {
      if (id >= FamilyId::kFirstOwn) list.push_back({id, handle->GetName()});
    }
    return list;
  }

  absl::Status CommitSync(absl::Span<const KeyspaceWrites>) override { return ReadOnly(); }
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view) override { return ReadOnly(); }
  absl::Status DropFamily(FamilyId) override { return ReadOnly(); }

 private:
  const std::shared_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<FamilyId, Family> families_;  // constant once the store is open
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStoreCopy(std::shared_ptr<rocksdb::Env> env, const std::string& name,
                                                     absl::FunctionRef<bool(absl::string_view name)> wanted) {
  auto copy = std::make_unique<StoreCopy>(std::move(env));
  const rocksdb::Status status = copy->Open(name, wanted);
  if (!status.ok()) return InDirectory(name, FromRocksDb(status));
  return copy;
}

}  // namespace holdfast::storage
