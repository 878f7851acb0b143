// Times and durations between the wire (google.protobuf) and storage (microseconds).

#ifndef HOLDFAST_ACTORS_WIRE_WIRE_TIME_H_
#define HOLDFAST_ACTORS_WIRE_WIRE_TIME_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace holdfast::actors {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr absl::Duration kLongestDuration = absl::Hours(24 * 366);

inline void SetTimestamp(int64_t micros, google::protobuf::Timestamp* timestamp) {
  int64_t seconds = micros / kMicrosPerSecond;
  int64_t rest = micros % kMicrosPerSecond;
  if (rest < 0) {
    rest += kMicrosPerSecond;
    --seconds;
  }
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(static_cast<int32_t>(rest * 1000));
}

inline void SetDuration(int64_t micros, google::protobuf::Duration* duration) {
  duration->set_seconds(micros / kMicrosPerSecond);
  duration->set_nanos(static_cast<int32_t>(micros % kMicrosPerSecond * 1000));
}

// Returns the duration in microseconds, rounded up. INVALID_ARGUMENT, naming the field, unless it is between the
// bounds.
inline absl::StatusOr<int64_t> MicrosOf(const google::protobuf::Duration& duration, absl::string_view field,
                                        absl::Duration least, absl::Duration most) {
  const bool well_formed =
      duration.nanos() > -1'000'000'000 && duration.nanos() < 1'000'000'000 &&
      (duration.seconds() == 0 || duration.nanos() == 0 || (duration.seconds() > 0) == (duration.nanos() > 0));
  const absl::Duration value = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  if (!well_formed || value < least || value > most) {
    return InvalidField(field, absl::StrCat("must be a duration from ", absl::FormatDuration(least), " to ",
                                            absl::FormatDuration(most)));
  }
  return absl::ToInt64Microseconds(absl::Ceil(value, absl::Microseconds(1)));
}

// Returns the time in microseconds, rounded up so that nothing is early. INVALID_ARGUMENT, naming the field, if the
// timestamp is not valid, or if the rounded time is past the year 9999 and could not be told in a reply.
inline absl::StatusOr<int64_t> MicrosOf(const google::protobuf::Timestamp& timestamp, absl::string_view field) {
  // From the year 1 to the year 9999.
  constexpr int64_t kSecondsMin = -62'135'596'800;
  constexpr int64_t kSecondsMax = 253'402'300'799;
  if (timestamp.seconds() < kSecondsMin || timestamp.seconds() > kSecondsMax || timestamp.nanos() < 0 ||
      timestamp.nanos() > 999'999'999) {
    return InvalidField(field, "must be a time from the year 1 to the year 9999");
  }
  const int64_t micros = timestamp.seconds() * kMicrosPerSecond + (timestamp.nanos() + 999) / 1000;
  if (micros >= (kSecondsMax + 1) * kMicrosPerSecond) {
    return InvalidField(field, "must be at most 9999-12-31T23:59:59.999999Z: it is rounded up to a microsecond");
  }
  return micros;
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_WIRE_TIME_H_
