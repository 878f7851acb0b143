// The bounds on what one turn writes.

#ifndef HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_
#define HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "storage/object/object_storage.h"

namespace holdfast::actors {

struct Lane;

// Checks the writes of a turn whose object had `size_bytes` before it. Errors: RESOURCE_EXHAUSTED (OBJECT_QUOTA) if
// they have too many bytes or the object would, DISK_FULL if they need room on a full disk.
absl::Status CheckWrites(storage::ObjectStorage& storage, int64_t size_bytes, const Lane& lane);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_TURN_LIMITS_H_
