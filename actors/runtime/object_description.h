// The description of an object, which a node gives without a turn of the object.

#ifndef HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_
#define HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "actors/alarms/alarm_description.h"
#include "actors/runtime/activation.h"
#include "actors/runtime/sql_description.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {

struct ObjectDescription {
  // Absent if the object does not exist.
  std::optional<storage::v1::ObjectHeader> header;
  AlarmDescription alarm;
  Activation::State state = Activation::State::kInactive;
  bool packed = true;
  size_t mailbox_depth = 0;
  // The tables of its SQL database.
  std::vector<SqlTable> tables;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_DESCRIPTION_H_
