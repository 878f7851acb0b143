// Walks a family of RocksDB, as a cursor of a store.

#ifndef HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_CURSOR_H_
#define HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_CURSOR_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "storage/rocksdb/status.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// A handle stays until its last reader is done, also when its family is dropped meanwhile.
using Family = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

class RocksDbCursor final : public Cursor {
 public:
  // With `keep`, blocks that are read from the disk stay in the block cache.
  RocksDbCursor(rocksdb::DB* db, Family family, const Location& location, const KeyRange& range, bool keep)
      : family_(std::move(family)),
        prefix_(location.prefix),
        range_(location.Under(range)),
        start_(range_.start),
        end_(range_.end) {
    if (family_ == nullptr) {
      iterator_.reset(rocksdb::NewErrorIterator(rocksdb::Status::InvalidArgument("read of a dropped family")));
      return;
    }
    rocksdb::ReadOptions options;
    options.fill_cache = keep;
    options.iterate_lower_bound = &start_;
    if (!range_.end.empty()) options.iterate_upper_bound = &end_;
    iterator_.reset(db->NewIterator(options, family_.get()));
  }

  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void SeekToLast() override { iterator_->SeekToLast(); }
  void Seek(absl::string_view key) override { iterator_->Seek(absl::StrCat(prefix_, key)); }
  void Next() override { iterator_->Next(); }
  void Prev() override { iterator_->Prev(); }
  ReadResult state() const override {
    if (iterator_->Valid()) return ReadResult::kFound;
    const rocksdb::Status status = iterator_->status();
    return status.ok() ? ReadResult::kAbsent : ReadResult::kError;
  }
  absl::Status error() const override { return FromRocksDb(iterator_->status()); }
  absl::string_view key() const override {
    return absl::string_view(iterator_->key().data(), iterator_->key().size()).substr(prefix_.size());
  }
  absl::string_view value() const override { return {iterator_->value().data(), iterator_->value().size()}; }

 private:
  const Family family_;
  const std::string prefix_;
  const KeyRange range_;  // of keys with the prefix
  const rocksdb::Slice start_;
  const rocksdb::Slice end_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_ROCKSDB_ROCKSDB_CURSOR_H_
