// What a node knows of an object without loading it.

#ifndef HOLDFAST_ACTORS_OBJECT_DESCRIPTION_H_
#define HOLDFAST_ACTORS_OBJECT_DESCRIPTION_H_

#include <cstddef>
#include <optional>

#include "absl/time/time.h"
#include "actors/activation.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {

struct ObjectDescription {
  // Nothing: the object does not exist.
  std::optional<storage::v1::ObjectHeader> header;
  // What a client sees of the alarm.
  std::optional<absl::Time> alarm;
  Activation::State state = Activation::State::kInactive;
  bool packed = true;
  size_t mailbox_depth = 0;
  // Its tables are for a turn of its own to tell: PlainObject::DescribeSql.
  bool has_sql = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECT_DESCRIPTION_H_
