// The bytes of a batch, as the commit log holds them: the writes of one commit to many keyspaces.
//
// A keyspace is named by what is stored, not by numbers of the process: a family of the node by its FamilyId, an
// object's own family by its name. Numbers are varints; a text is its number of bytes and the bytes.
//
//   batch     parts, one after the other
//   part      family, prefix, count of ranges, ranges, count of points, points
//   family    a FamilyId below kFirstOwn; or kFirstOwn, and the name
//   range     start, end; an empty end is the end of the keyspace
//   point     kind, key, and for kValue and kPatch a text
//
// Ranges come before points, as they are applied. A point that has a patch is the patch alone: it makes the value from
// the one that the batches before have left.

#ifndef HOLDFAST_STORAGE_FOLD_BATCH_CODEC_H_
#define HOLDFAST_STORAGE_FOLD_BATCH_CODEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/store/store.h"

namespace holdfast::storage {

enum class PointKind : uint8_t { kRemoved = 0, kValue = 1, kPatch = 2 };

// Texts lie in the bytes of the batch.
struct BatchPart {
  struct Range {
    absl::string_view start;
    absl::string_view end;
  };
  struct Point {
    PointKind kind;
    absl::string_view key;
    absl::string_view bytes;
  };

  FamilyId family;  // kFirstOwn: the family with `name`
  absl::string_view name;
  absl::string_view prefix;
  std::vector<Range> removed;
  std::vector<Point> points;
};

// Appends the batch to `*bytes`. `name_of` returns the name of an object's own family.
void EncodeBatch(absl::Span<const KeyspaceWrites> writes, absl::FunctionRef<std::string(FamilyId)> name_of,
                 std::string* bytes);

// Errors: DATA_LOSS if the bytes are no batch.
absl::StatusOr<std::vector<BatchPart>> DecodeBatch(absl::string_view bytes);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_FOLD_BATCH_CODEC_H_
