// The statements that write a batch to hf_entry: first those that remove ranges, then those that remove keys, then the
// puts. A large batch takes several of each kind, so that no statement has many more bytes than kStatementBytes.
//
// A value that has a patch is written in full.

#ifndef HOLDFAST_STORAGE_POSTGRES_WRITES_H_
#define HOLDFAST_STORAGE_POSTGRES_WRITES_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/postgres/connection.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {

// A server needs a few times the bytes of a statement to carry it out.
inline constexpr size_t kStatementBytes = 8 << 20;

// Errors: INTERNAL if the batch names a family that is not there; INVALID_ARGUMENT for a key that no row can have.
absl::Status CheckWrites(absl::Span<const KeyspaceWrites> writes);

// Adds the statements to the trip of the connection. The batch has passed CheckWrites.
void AddWrites(absl::Span<const KeyspaceWrites> writes, Connection* connection);

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_WRITES_H_
