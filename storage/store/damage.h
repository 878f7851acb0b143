// Reading on behind what is damaged.
//
// A walk over a family ends where it meets a corrupt block, and nothing says where the next block begins. But a walk
// that begins behind the corrupt one works, so the place is found by trying: at most some thousand tries, each of which
// reads one block.
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

// The first key of `range`, whose beginning cannot be read, from which a walk can go on. With damage at several places
// it may be behind more than the first of them. Nothing: no place in the range is found that can be read.
std::optional<std::string> ReadableFrom(Store* store, FamilyId family, const KeyRange& range);

// Walks over the entries in `range`, ascending, until `visit` returns false. Calls `damaged` for each part that cannot
// be read, in the order of the walk, and goes on behind it. Errors: those of the store but DATA_LOSS, and DATA_LOSS
// where a place could be read at the second try.
using EntryVisitor = absl::FunctionRef<bool(absl::string_view key, absl::string_view value)>;
using DamageVisitor = absl::FunctionRef<void(const KeyRange& part, const absl::Status& why)>;
absl::Status ScanReadable(Store* store, FamilyId family, KeyRange range, EntryVisitor visit, DamageVisitor damaged);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_DAMAGE_H_
