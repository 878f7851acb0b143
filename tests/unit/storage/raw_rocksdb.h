// Reads and changes a data directory without RocksDbStore. The store must be closed.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_RAW_ROCKSDB_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_RAW_ROCKSDB_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rocksdb/comparator.h"
#include "rocksdb/db.h"
#include "rocksdb/metadata.h"
#include "rocksdb/options.h"
#include "storage/rocksdb/patches.h"

namespace holdfast::storage {

inline std::vector<std::string> RawFamilies(const std::string& dir) {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies({}, dir, &names).ok()) return {"default"};
  return names;
}

class RawRocksDb {
 public:
  // Opens the RocksDB, and makes it if there is none.
  explicit RawRocksDb(const std::string& dir) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.disable_auto_compactions = true;
    options.merge_operator = NewPatchOperator();
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const std::string& name : RawFamilies(dir)) descriptors.emplace_back(name, options);
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const rocksdb::Status status = rocksdb::DB::Open(options, dir, descriptors, &handles, &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
    for (rocksdb::ColumnFamilyHandle* handle : handles) families_[handle->GetName()] = handle;
  }
  ~RawRocksDb() {
    for (auto& [name, handle] : families_) (void)db_->DestroyColumnFamilyHandle(handle);
  }
  rocksdb::DB* operator->() { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(const std::string& name) { return families_.at(name); }
  const std::map<std::string, rocksdb::ColumnFamilyHandle*>& families() const { return families_; }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, rocksdb::ColumnFamilyHandle*> families_;
};

inline void RawPut(const std::string& dir, const std::string& family, const std::string& key,
                   const std::string& value) {
  RawRocksDb db(dir);
  EXPECT_TRUE(db->Put({}, db.family(family), key, value).ok());
}

inline void RawDelete(const std::string& dir, const std::string& family, const std::string& key) {
  RawRocksDb db(dir);
  EXPECT_TRUE(db->Delete({}, db.family(family), key).ok());
}

inline std::optional<std::string> RawGet(const std::string& dir, const std::string& family, const std::string& key) {
  RawRocksDb db(dir);
  std::string value;
  if (db->Get({}, db.family(family), key, &value).IsNotFound()) return std::nullopt;
  return value;
}

inline void RawCreateFamily(const std::string& dir, const std::string& name) {
  RawRocksDb db(dir);
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  EXPECT_TRUE(db->CreateColumnFamily({}, name, &handle).ok());
  (void)db->DestroyColumnFamilyHandle(handle);
}

// Makes a RocksDB whose keys have another order than those of the store.
inline void RawCreateReversed(const std::string& dir) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.comparator = rocksdb::ReverseBytewiseComparator();
  rocksdb::DB* db = nullptr;
  EXPECT_TRUE(rocksdb::DB::Open(options, dir, &db).ok());
  delete db;
}

// Moves the contents of memtables to tables.
inline void RawFlush(const std::string& dir) {
  RawRocksDb db(dir);
  for (const auto& [name, handle] : db.families()) EXPECT_TRUE(db->Flush({}, handle).ok());
}

// Returns the paths of a family's tables.
inline std::vector<std::string> RawTables(const std::string& dir, const std::string& family) {
  RawRocksDb db(dir);
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  std::vector<std::string> paths;
  for (const rocksdb::LiveFileMetaData& file : files) {
    if (file.column_family_name == family) paths.push_back(dir + file.name);
  }
  return paths;
}

// A record of a write-ahead log: checksum (4 bytes), length (2), type (1), and its content.
struct WalRecord {
  static constexpr size_t kHeaderBytes = 7;
  static constexpr size_t kBlockBytes = 32 << 10;
  // Tells whether the record is a whole commit or a part of one.
  enum Type : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

  size_t offset;
  size_t length;
  Type type;
};

inline std::vector<WalRecord> WalRecords(const std::string& log) {
  std::vector<WalRecord> records;
  for (size_t at = 0; at + WalRecord::kHeaderBytes <= log.size();) {
    const size_t left_in_block = WalRecord::kBlockBytes - at % WalRecord::kBlockBytes;
    if (left_in_block < WalRecord::kHeaderBytes) {
      at += left_in_block;
      continue;
    }
    const size_t length = static_cast<uint8_t>(log[at + 4]) | static_cast<uint8_t>(log[at + 5]) << 8;
    records.push_back({at, length, static_cast<WalRecord::Type>(log[at + 6])});
    at += WalRecord::kHeaderBytes + length;
  }
  return records;
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_RAW_ROCKSDB_H_
