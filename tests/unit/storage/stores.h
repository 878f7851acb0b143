// The stores, for tests that must hold for all of them.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_STORES_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_STORES_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/memory_store.h"
#include "storage/store/patch.h"
#include "storage/store/store.h"
#include "tests/simulation/memory_logs.h"
#include "tests/unit/storage/late_store.h"
#include "tests/unit/storage/open_logged.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/status_matchers.h"
#include "tests/unit/storage/temp_dir.h"
#ifdef HOLDFAST_TEST_POSTGRES
#include "tests/unit/storage/postgres/store_row.h"
#endif

namespace holdfast::storage {

// The sizes are small, so that a test that opens many stores stays cheap.
inline RocksDbOptions SmallOptions(const std::string& data_dir) {
  RocksDbOptions options;
  options.data_dir = data_dir;
  options.block_cache_bytes = 8 << 20;
  options.memtable_bytes = 8 << 20;
  options.wal_bytes_max = 16 << 20;
  return options;
}

inline std::unique_ptr<Store> OpenOrDie(const RocksDbOptions& options) {
  auto store = OpenRocksDbStore(options);
  if (!store.ok()) {
    std::cerr << store.status() << std::endl;
    std::abort();
  }
  return *std::move(store);
}

inline WriteSet Puts(const std::vector<std::pair<std::string, std::string>>& entries) {
  WriteSet set;
  for (const auto& [key, value] : entries) set.Put(key, value);
  return set;
}

inline WriteSet Removes(KeyRange range) {
  WriteSet set;
  set.DeleteRange(std::move(range));
  return set;
}

enum class StoreKind { kMemory, kRocksDb, kLate, kLogged, kLoggedFiles, kPostgres, kPostgresLogged, kPostgresDivided };

struct StoreRow {
  StoreKind kind;
  const char* name;
  // Opens a store with nothing in it; `dir` is an empty directory that outlives it.
  std::unique_ptr<Store> (*open)(const std::string& dir);
  // From now on the store refuses commits. Null if nothing makes it do that.
  void (*refuse)(Store& store) = nullptr;
  // Reads see a patch applied to the stored value at once, and not the value that was committed with it.
  bool applies_patches = true;
  // A value that was read once is in memory for the next read.
  bool warm = true;
  // Closes the store and opens it again. Null if a store lasts as long as its object, or a test opens it by itself.
  void (*reopen)(Store& store) = nullptr;
};

inline std::unique_ptr<Store> OpenUnsynced(const std::string& dir) {
  RocksDbOptions options = SmallOptions(dir);
  options.sync = false;
  return OpenOrDie(options);
}

inline std::unique_ptr<Store> OpenLogged(const std::string&) {
  return OpenLoggedOrDie(std::make_unique<MemoryStore>(), std::make_unique<simulation::MemoryLogs>());
}
inline std::unique_ptr<Store> OpenLoggedFiles(const std::string& dir) {
  FileCommitLogOptions options = {.directory = dir, .run = 1, .segment_bytes = 64 << 10, .segments_max = 4};
  return OpenLoggedOrDie(OpenUnsynced(dir), std::make_unique<FileCommitLogs>(std::move(options)));
}

template <typename T>
std::unique_ptr<Store> OpenInMemory(const std::string&) {
  return std::make_unique<T>();
}

inline void RefuseInMemory(Store& store) {
  static_cast<MemoryStore&>(store).set_commit_error(NotOwner("another process has the store"));
}

// A new store has a row here, and then runs through every suite that is instantiated with AllStores(). Stores in a
// database run in a program of their own, which starts its server once.
inline constexpr StoreRow kStoreRows[] = {
#ifdef HOLDFAST_TEST_POSTGRES
    {StoreKind::kPostgres, "Postgres", postgres::OpenCluster, postgres::TakeOver, false, true, postgres::ReopenCluster},
    {StoreKind::kPostgresLogged, "PostgresLogged", postgres::OpenLoggedCluster, nullptr, false, false},
    {StoreKind::kPostgresDivided, "PostgresDivided", postgres::OpenDividedCluster, nullptr, false, false},
#else
    {StoreKind::kMemory, "Memory", OpenInMemory<MemoryStore>, RefuseInMemory},
    {StoreKind::kRocksDb, "RocksDb", OpenUnsynced},
    {StoreKind::kLate, "Late", OpenInMemory<LateStore>, RefuseInMemory},
    {StoreKind::kLogged, "Logged", OpenLogged, nullptr, false},
    {StoreKind::kLoggedFiles, "LoggedFiles", OpenLoggedFiles, nullptr, false},
#endif
};

inline const StoreRow& RowOf(StoreKind kind) {
  return *std::find_if(std::begin(kStoreRows), std::end(kStoreRows), [&](const auto& row) { return row.kind == kind; });
}

inline auto AllStores() {
  std::vector<StoreKind> kinds;
  for (const StoreRow& row : kStoreRows) kinds.push_back(row.kind);
  return testing::ValuesIn(kinds);
}

template <typename Chosen>
auto StoresWith(Chosen chosen) {
  std::vector<StoreKind> kinds;
  for (const StoreRow& row : kStoreRows) {
    if (chosen(row)) kinds.push_back(row.kind);
  }
  return testing::ValuesIn(kinds);
}
inline auto StoresThatRefuse() {
  return StoresWith([](const StoreRow& row) { return row.refuse != nullptr; });
}
inline auto WarmStores() {
  return StoresWith([](const StoreRow& row) { return row.warm; });
}
inline auto StoresThatApplyPatches() {
  return StoresWith([](const StoreRow& row) { return row.applies_patches; });
}

inline std::string StoreName(const testing::TestParamInfo<StoreKind>& info) { return RowOf(info.param).name; }

// An empty store of some kind.
class AnyStore {
 public:
  explicit AnyStore(StoreKind kind) : store_(RowOf(kind).open(dir_.path())) {}
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  Store* get() { return store_.get(); }

 private:
  TempDir dir_;
  std::unique_ptr<Store> store_;
};

class StoreParamTest : public testing::TestWithParam<StoreKind> {
 protected:
  Store& store() { return *store_; }

 private:
  AnyStore store_{GetParam()};
};

using Entries = std::map<std::string, std::string>;

inline absl::Status Commit(Store& store, std::vector<std::pair<Location, WriteSet>> parts) {
  std::vector<KeyspaceWrites> writes;
  for (auto& [location, set] : parts) writes.push_back({&location, &set});
  return store.CommitSync(writes);
}

inline WriteSet OnePut(const std::string& key, const std::string& value) {
  WriteSet set;
  set.Put(key, value);
  return set;
}

// Returns all entries that a cursor visits, in its order.
inline std::vector<std::pair<std::string, std::string>> Walk(Cursor& cursor, bool reverse) {
  std::vector<std::pair<std::string, std::string>> entries;
  reverse ? cursor.SeekToLast() : cursor.SeekToFirst();
  while (cursor.state() == ReadResult::kFound) {
    entries.emplace_back(std::string(cursor.key()), std::string(cursor.value()));
    reverse ? cursor.Prev() : cursor.Next();
  }
  EXPECT_EQ(cursor.state(), ReadResult::kAbsent) << cursor.error();
  return entries;
}

inline Entries Dump(Store& store, FamilyId family) {
  auto entries = Walk(*store.NewCursor(WholeFamily(family), KeyRange::All(), ReadTier::kDisk), false);
  return {entries.begin(), entries.end()};
}

// Returns nothing where there is no value; fails the test where the store cannot tell.
inline std::optional<std::string> FindAt(Store& store, const Location& location, absl::string_view key) {
  std::string value;
  absl::Status error;
  const ReadResult found = store.Get(location, key, ReadTier::kDisk, &value, &error);
  if (found == ReadResult::kFound) return value;
  EXPECT_EQ(found, ReadResult::kAbsent) << error;
  return std::nullopt;
}

// Does the same; in the packed family `key` has the prefix of its location.
inline std::optional<std::string> Find(Store& store, FamilyId family, absl::string_view key) {
  if (family == FamilyId::kPacked) {
    const auto cursor = store.NewCursor(WholeFamily(family), KeyRange::Single(key), ReadTier::kDisk);
    cursor->SeekToFirst();
    EXPECT_NE(cursor->state(), ReadResult::kError) << cursor->error();
    return cursor->state() == ReadResult::kFound ? std::optional(std::string(cursor->value())) : std::nullopt;
  }
  return FindAt(store, WholeFamily(family), key);
}

// Adds to `set` changes of some bytes of existing values: those of `entries` under `prefix`, with the set on top.
inline void AddRandomChanges(Random& random, const Entries& entries, const std::string& prefix, WriteSet* set) {
  for (uint64_t n = random.Below(6); n > 0; --n) {
    const std::string& key = RandomKey(random);
    const std::string* old = nullptr;
    const WriteSet::Verdict verdict = set->Find(key, &old);
    if (verdict == WriteSet::Verdict::kRemoved) continue;
    if (verdict == WriteSet::Verdict::kUnknown) {
      const auto it = entries.find(prefix + key);
      if (it == entries.end()) continue;
      old = &it->second;
    }
    std::string value = *old;
    for (int i = 0; i < 2 && !value.empty(); ++i) value[random.Below(value.size())] = static_cast<char>(random.Bits());
    if (auto patch = MakePatch(*old, value); patch && !value.empty()) {
      set->PutChanged(key, std::move(value), *std::move(patch));
    }
  }
}

// Applies a set of writes to a plain map.
inline void Apply(const WriteSet& writes, const std::string& prefix, Entries* entries) {
  for (const KeyRange& range : writes.removed()) {
    const std::string end = range.end.empty() ? PrefixEnd(prefix) : prefix + range.end;
    entries->erase(entries->lower_bound(prefix + range.start),
                   end.empty() ? entries->end() : entries->lower_bound(end));
  }
  for (const auto& [key, value] : writes.points()) {
    if (value) {
      (*entries)[prefix + key] = *value;
    } else {
      entries->erase(prefix + key);
    }
  }
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_STORES_H_
