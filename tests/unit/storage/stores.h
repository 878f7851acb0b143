// The two stores, for tests that must hold for both.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_STORES_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_STORES_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/rocksdb/rocksdb_store.h"
#include "storage/store/memory_store.h"
#include "storage/store/patch.h"
#include "storage/store/store.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/status_matchers.h"
#include "tests/unit/storage/temp_dir.h"

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

enum class StoreKind { kMemory, kRocksDb };

inline std::string StoreName(const testing::TestParamInfo<StoreKind>& info) {
  return info.param == StoreKind::kMemory ? "Memory" : "RocksDb";
}

// An empty store of either kind.
class AnyStore {
 public:
  explicit AnyStore(StoreKind kind) {
    if (kind == StoreKind::kMemory) {
      store_ = std::make_unique<MemoryStore>();
    } else {
      RocksDbOptions options = SmallOptions(dir_.path());
      options.sync = false;
      store_ = OpenOrDie(options);
    }
  }
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

inline absl::Status Commit(Store& store, const std::vector<std::pair<Location, WriteSet>>& parts) {
  std::vector<KeyspaceWrites> writes;
  for (const auto& [location, set] : parts) writes.push_back({&location, &set});
  return store.Commit(writes);
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
  auto entries = Walk(*store.NewCursor(family, KeyRange::All(), ReadTier::kDisk), false);
  return {entries.begin(), entries.end()};
}

// Returns nothing where there is no value; fails the test where the store cannot tell.
inline std::optional<std::string> Find(Store& store, FamilyId family, absl::string_view key) {
  std::string value;
  absl::Status error;
  const ReadResult found = store.Get(family, key, ReadTier::kDisk, &value, &error);
  if (found == ReadResult::kFound) return value;
  EXPECT_EQ(found, ReadResult::kAbsent) << error;
  return std::nullopt;
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
