// Where an entry of the store lies in the table hf_entry: its family, its shard and its key.
//
//   family     shard                                key
//   kNode      kNoShard                             the key
//   kCatalog   that of the object                   the key: the object's encoded id
//   kAlarms    that of the object                   the key: the due time and the encoded id
//   kRequests  that of the object                   the key, of either kind
//   kPacked    that of the object, of the prefix    16 bytes of a hash of the prefix, and the key without the prefix
//
// Each row of an object thus says which shard it belongs to, and a shard can move to another node without its rows.
//
// A packed key has a hash in place of the object's id since a B-tree of PostgreSQL refuses keys of more than 2,700
// bytes, and since an id in each row of an object costs more than its data. The hash is cryptographic: a client may
// choose the names of its objects, and must find no two that share their rows. The id is in the catalog; nothing here
// leads from a hash to an id. Therefore the packed family can only be read object by object.
//
// A cursor over another family sees the rows of all shards, in the order of their keys, for which the table has an
// index without the shard (schema.cc).

#ifndef HOLDFAST_STORAGE_POSTGRES_ROW_KEY_H_
#define HOLDFAST_STORAGE_POSTGRES_ROW_KEY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {

// The shard of rows that belong to no object.
inline constexpr int16_t kNoShard = -1;
// The most bytes of a key of a row. PostgreSQL refuses an entry of a B-tree over 2,704 bytes, with its header and the
// columns before the key.
inline constexpr size_t kRowKeyBytesMax = 2600;

// The rows of one location.
class RowSpace {
 public:
  explicit RowSpace(const Location& location);

  int16_t family() const { return family_; }
  // Returns whether all rows are of one shard, and lie under one prefix. False: those of a family that is no object's.
  bool of_one_object() const { return of_one_object_; }
  int16_t ShardOf(absl::string_view key) const;
  // The bytes before each key.
  const std::string& prefix() const { return prefix_; }
  // The key of the row for a key of the location.
  std::string RowKey(absl::string_view key) const { return prefix_ + std::string(key); }
  // The keys of the rows for a range of keys of the location. The end is empty only if there is no end.
  KeyRange RowKeys(const KeyRange& range) const;

 private:
  int16_t family_;
  bool of_one_object_;
  int16_t shard_ = kNoShard;  // of one object
  std::string prefix_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_ROW_KEY_H_
