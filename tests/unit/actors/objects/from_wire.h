// Times and durations of replies, in the types in which tests compare them.

#ifndef HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_FROM_WIRE_H_
#define HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_FROM_WIRE_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace holdfast::actors {

inline absl::Time FromWire(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}
inline absl::Duration FromWire(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace holdfast::actors

#endif  // HOLDFAST_TESTS_UNIT_ACTORS_OBJECTS_FROM_WIRE_H_
