// The writes of one turn, or of many turns merged: for each key its last value or its removal, and the ranges that
// were removed before those were written.
//
// Invariants:
//   1. A point in points() is newer than every range in removed(): putting a key into a removed range is seen.
//   2. No point lies in a range that was removed after it: removing a range drops the points in it.
//   3. The ranges in removed() are disjoint and in order.
//   4. A point has its value in full. If it has a patch too, that makes the value of what the key has below this set.
//      So whoever reads looks at the values only, and to drop a patch changes no meaning.
// So to apply a set anywhere: first the ranges, then the points. Applying it twice changes nothing, with patches too.

#ifndef HOLDFAST_STORAGE_STORE_WRITE_SET_H_
#define HOLDFAST_STORAGE_STORE_WRITE_SET_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage {

class WriteSet {
 public:
  // A value, or nothing where the key was removed.
  using Points = absl::btree_map<std::string, std::optional<std::string>>;
  using Patches = absl::btree_map<std::string, std::string>;

  void Put(absl::string_view key, std::string value);
  // The same where the key has a value before this, in the set or below it, of which `patch` makes this one
  // (storage/store/patch.h): what is written to the store may be the patch.
  void PutChanged(absl::string_view key, std::string value, std::string patch);
  void Delete(absl::string_view key);
  void DeleteRange(KeyRange range);

  // Applies `newer` on top. Leaves it in an unspecified state.
  void Merge(WriteSet&& newer);
  void Clear();
  // For who applies the set where what is below may not be: each value is written in full.
  void DropPatches();

  enum class Verdict { kUnknown, kPresent, kRemoved };
  // What this set says of a key; `*value` is set to its value (owned by the set) with kPresent.
  Verdict Find(absl::string_view key, const std::string** value) const;
  bool RangeRemoved(absl::string_view key) const;

  // Adds to `*older`, which is a set of its own, what this one says of the keys in `range`, all values in full.
  void CopyRangeOnto(const KeyRange& range, WriteSet* older) const;

  bool empty() const { return points_.empty() && removed_.empty(); }
  // Whether there is a value in it, not removals only.
  bool has_values() const;
  // Keys and values of the points, patches and their keys, and the bounds of the ranges; what the bounds of turns and
  // queues count.
  size_t bytes() const { return bytes_; }
  const Points& points() const { return points_; }
  // For some of the points that have a value.
  const Patches& patches() const { return patches_; }
  const std::vector<KeyRange>& removed() const { return removed_; }

 private:
  void Set(absl::string_view key, std::optional<std::string> value);
  void DropPatch(Patches::iterator patch);

  Points points_;
  Patches patches_;
  std::vector<KeyRange> removed_;
  size_t bytes_ = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_WRITE_SET_H_
