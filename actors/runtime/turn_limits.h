// The bounds on what one turn writes.

#ifndef HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_
#define HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "storage/object/object_storage.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

struct Lane;

// Checks the writes of a turn of the object, which had `size_bytes` before it if it existed. Errors: RESOURCE_EXHAUSTED
// (OBJECT_QUOTA) if they have too many bytes or the object would, NAMESPACE_QUOTA if its namespace would have too much,
// DISK_FULL if they need room on a full disk.
absl::Status CheckWrites(storage::ObjectStorage& storage, const storage::ObjectKey& key, bool exists,
                         int64_t size_bytes, const Lane& lane);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_
