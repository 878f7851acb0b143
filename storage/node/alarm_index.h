// The alarms of all objects by due time: which keys they have in the alarms' family, and how they are read.
//
//   key    due time in microseconds (int64), encoded id of the object      value: nothing
//
// The object's own record (kAlarmKind) says what the alarm is; both are written in one commit.

#ifndef HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_
#define HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"

namespace holdfast::storage {

struct AlarmEntry {
  int64_t due_us;
  std::string object;  // its encoded id

  auto operator<=>(const AlarmEntry&) const = default;
};

inline std::string AlarmIndexKey(int64_t due_us, absl::string_view object) {
  std::string key;
  AppendInt64(&key, due_us);
  absl::StrAppend(&key, object);
  return key;
}

inline bool ParseAlarmIndexKey(absl::string_view key, AlarmEntry* entry) {
  if (!ConsumeInt64(&key, &entry->due_us)) return false;
  entry->object = std::string(key);
  return true;
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_
