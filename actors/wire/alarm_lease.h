// Bounds on the lease, the time for which a client may keep a delivery of an alarm.

#ifndef HOLDFAST_ACTORS_WIRE_ALARM_LEASE_H_
#define HOLDFAST_ACTORS_WIRE_ALARM_LEASE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/wire/wire_time.h"

namespace holdfast::actors {

inline constexpr absl::Duration kLeaseDefault = absl::Seconds(30);
inline constexpr absl::Duration kLeaseMin = absl::Milliseconds(100);
inline constexpr absl::Duration kLeaseMax = absl::Minutes(15);

// Returns the lease of the request in microseconds, or the default. INVALID_ARGUMENT, naming the field `lease`, if it
// is out of bounds.
template <typename Request>
absl::StatusOr<int64_t> LeaseOf(const Request& request) {
  if (!request.has_lease()) return absl::ToInt64Microseconds(kLeaseDefault);
  return MicrosOf(request.lease(), "lease", kLeaseMin, kLeaseMax);
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_ALARM_LEASE_H_
