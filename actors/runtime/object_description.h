// What a node knows of an object without a turn of it.

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
  // Nothing: the object does not exist.
  std::optional<storage::v1::ObjectHeader> header;
  // What GetAlarm shows a client.
  std::optional<absl::Time> alarm;
  // The alarm that is set, also while a failed attempt waits to be repeated. The times are those of the alarm that the
  // class of the object knows: of class Object the client's, not the runtime's that wakes the object.
  std::optional<storage::v1::AlarmRecord> next_alarm;
  // The delivery to a client that is out, of class Object alone.
  std::optional<storage::v1::AlarmDelivery> delivery;
  Activation::State state = Activation::State::kInactive;
  bool packed = true;
  size_t mailbox_depth = 0;
  // The tables of its SQL database.
  std::vector<SqlTable> tables;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_
