// A store whose data are all in table files, with one bit flipped in one of them.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_DAMAGED_TABLES_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_DAMAGED_TABLES_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "storage/rocksdb/rocksdb_store.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {

class DamagedTablesTest : public testing::Test {
 protected:
  // Returns options with which nothing is left in the write-ahead logs when the store closes.
  static RocksDbOptions Options(const std::string& dir) {
    RocksDbOptions options = SmallOptions(dir);
    options.wal_bytes_kept = 0;
    return options;
  }
  // Returns the store before the damage; the caller closes it.
  std::unique_ptr<Store> Sound() { return OpenOrDie(Options(sound_.path())); }

  const std::string& sound_dir() const { return sound_.path(); }

  // Returns the only table of a family, and its size.
  std::string TableOf(const std::string& family) {
    TempDir copy;
    std::filesystem::copy(sound_.path(), copy.path());
    const std::vector<std::string> tables = RawTables(copy.path(), family);
    EXPECT_EQ(tables.size(), 1u) << family;
    return std::filesystem::path(tables.at(0)).filename();
  }
  size_t BytesOf(const std::string& table) { return std::filesystem::file_size(sound_.path() + "/" + table); }

  // Opens a copy with a bit flipped in this byte of a table.
  absl::StatusOr<std::unique_ptr<Store>> Damaged(const std::string& table, size_t byte) {
    damaged_ = std::make_unique<TempDir>();
    std::filesystem::copy(sound_.path(), damaged_->path());
    FlipBit(damaged_->path() + "/" + table, byte, static_cast<int>(byte % 8));
    return OpenRocksDbStore(Options(damaged_->path()));
  }
  const std::string& damaged_dir() const { return damaged_->path(); }

  // Returns bytes of a table that hit each of its parts: blocks of entries, filter, index, properties, footer.
  static std::vector<size_t> BytesToFlip(size_t bytes) {
    std::vector<size_t> list = {0, 5};
    for (size_t at = 1000; at<bytes; at += bytes - at> 1500 ? 1201 : 83) list.push_back(at);
    list.push_back(bytes - 1);
    return list;
  }

 private:
  TempDir sound_;
  std::unique_ptr<TempDir> damaged_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_DAMAGED_TABLES_H_
