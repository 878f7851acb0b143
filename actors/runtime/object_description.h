// The description of an object, which a node gives without a turn of the object.

#ifndef HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_
#define HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "actors/runtime/activation.h"
#include "actors/runtime/sql_description.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {

struct ObjectDescription {
  // Absent if the object does not exist.
  std::optional<storage::v1::ObjectHeader> header;
  // The alarm as GetAlarm shows it to a client.
  std::optional<absl::Time> alarm;
  // The alarm that is set, also while a failed attempt waits to be repeated. For class Object this is the client's
  // alarm, not the runtime's alarm that wakes the object.
  std::optional<storage::v1::AlarmRecord> next_alarm;
  // The delivery that is out to a client; only class Object has one.
  std::optional<storage::v1::AlarmDelivery> delivery;
  Activation::State state = Activation::State::kInactive;
  bool packed = true;
  size_t mailbox_depth = 0;
  // The tables of its SQL database.
  std::vector<SqlTable> tables;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_
