// Reads that go on behind the damaged parts of a family.
//
// A walk ends at a corrupt block, and nothing says where the next block begins. But a walk that begins
// behind the corrupt block works, so the place is found by trying: at most a few thousand tries, each of which reads
// one block.
//
// Blocking: not on an executor. Any thread.

#ifndef HOLDFAST_STORAGE_STORE_DAMAGE_H_
#define HOLDFAST_STORAGE_STORE_DAMAGE_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// Returns the first key from which a walk over the location can go on in `range`, whose beginning could not be read;
// `range.start` if it can be read now. If several places are damaged, the key may be behind more than the first of
// them. Returns nothing if no readable place is found in the range.
std::optional<std::string> ReadableFrom(Store* store, const Location& location, const KeyRange& range);

// Walks over the entries of the location in `range`, ascending, until `visit` returns false. Calls `damaged` for each
// part that cannot be read, in the order of the walk, and goes on behind it. Errors: those of the store; DATA_LOSS only
// if a place could be read at the second try.
using EntryVisitor = absl::FunctionRef<bool(absl::string_view key, absl::string_view value)>;
using DamageVisitor = absl::FunctionRef<void(const KeyRange& part, const absl::Status& why)>;
absl::Status ScanReadable(Store* store, const Location& location, KeyRange range, EntryVisitor visit,
                          DamageVisitor damaged);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_DAMAGE_H_
