// The first keys of an object as they are in the store, read before the object is loaded. The reads of a load, and of
// the turn that follows it, then find their keys here and need neither the store nor another thread.
//
// One job reads the first keys of many objects, in the order of the store, so that neighbours find their blocks in the
// cache. A walk over the few keys of an object costs less than a read of each.
//
// A preread is older than every write of its object that was not in the store when it was read. It may be used only
// while the object has no such write but those in its pending layers: its owner drops it when the object commits.

#ifndef HOLDFAST_STORAGE_OBJECT_PREREAD_H_
#define HOLDFAST_STORAGE_OBJECT_PREREAD_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/store/key_codec.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// Immutable once it is read.
class Preread {
 public:
  // Bounds on one object, and on the objects of one ReadAhead().
  static constexpr size_t kEntriesMax = 16;
  static constexpr size_t kBytesMax = 16 << 10;
  static constexpr size_t kAllBytesMax = 4 << 20;

  // `entries` are all entries of the object in `range`, in order.
  using Entries = std::vector<std::pair<std::string, std::string>>;
  Preread(KeyRange range, Entries entries) : range_(std::move(range)), entries_(std::move(entries)) {}

  // Returns whether the preread has all that the store has in `range`.
  bool Covers(const KeyRange& range) const;
  bool Covers(absl::string_view key) const { return range_.Contains(key); }
  // Returns the value of a key that is covered; null if the key is absent.
  const std::string* Find(absl::string_view key) const;
  // Walks a range that is covered. The cursor must not outlive the preread.
  std::unique_ptr<Cursor> NewCursor(KeyRange range) const;

 private:
  KeyRange range_;
  Entries entries_;
};

// An object to read. Its keys are read from the first one on, up to `last` or the bounds of Preread.
struct PrereadOrder {
  Location location;
  std::string last;               // no key after this one is read; empty: there is no such key
  std::unique_ptr<Preread> read;  // the result; null if it could not be read, or others took all the room
};

// Reads the objects. Blocking: not on an executor. An object whose keys are damaged is left out; its load will say so.
void ReadAhead(Store* store, absl::Span<PrereadOrder> orders);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_PREREAD_H_
