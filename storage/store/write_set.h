// The writes of one turn, or of many turns merged: for each key its last value or its removal, and the ranges that
// were removed before those were written.
//
// Invariants:
//   1. A point in points() is newer than every range in removed(): putting a key into a removed range is seen.
//   2. No point lies in a range that was removed after it: removing a range drops the points in it.
//   3. The ranges in removed() are disjoint and in order.
//   4. A point has its value in full. If it has a patch too, the patch makes that value from the key's value below the
//      set. Readers therefore look only at the values, and dropping a patch changes no meaning.
// To apply a set, apply the ranges first, then the points. Applying it twice changes nothing, with patches too.

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
  // A point is a value, or nothing if the key was removed.
  using Points = absl::btree_map<std::string, std::optional<std::string>>;
  using Patches = absl::btree_map<std::string, std::string>;

  void Put(absl::string_view key, std::string value);
  // Puts a value that `patch` makes from the value that the key has now, in the set or below it
  // (storage/store/patch.h). The store may then write the patch instead of the value.
  void PutChanged(absl::string_view key, std::string value, std::string patch);
  void Delete(absl::string_view key);
  void DeleteRange(KeyRange range);

  // Applies `newer` on top, and leaves `newer` in an unspecified state.
  void Merge(WriteSet&& newer);
  void Clear();
  // Drops the patches, so that each value is written in full. For a caller that applies the set where the values below
  // it may be missing.
  void DropPatches();

  enum class Verdict { kUnknown, kPresent, kRemoved };
  // Returns what this set says of a key. On kPresent `*value` is set to the value, which the set owns.
  Verdict Find(absl::string_view key, const std::string** value) const;
  // Returns the removed range that contains the key, or null. It stays until the set changes.
  const KeyRange* FindRemoved(absl::string_view key) const;

  // Applies the writes of this set to keys in `range` on top of `*older`, another set, with all values in full.
  void CopyRangeOnto(const KeyRange& range, WriteSet* older) const;

  bool empty() const { return points_.empty() && removed_.empty(); }
  // Returns whether the set has a value, not only removals.
  bool has_values() const;
  // The bytes of points, patches and removed ranges, with an overhead for each. Limits on turns and queues count them.
  size_t bytes() const { return bytes_; }
  const Points& points() const { return points_; }
  // Some of the points that have a value have a patch, too.
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
