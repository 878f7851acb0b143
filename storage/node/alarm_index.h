// The index of all objects' alarms by due time: its keys in the alarms' family, and the scan that reads it.
//
//   key    due time in microseconds (int64), encoded id of the object      value: nothing
//
// The object's own record (kAlarmKind) has the alarm itself; both are written in one commit. Where the index is
// damaged, the scan therefore reads the objects' records.

#ifndef HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_
#define HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

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

// Calls `visit` with the alarms in a range of the index, by due time, until `visit` returns false. `pending` are writes
// to the index that are newer than the store. For a damaged part of the index the scan reads the alarm records of all
// objects, which takes long with many objects, and logs `alarm_index_damaged`. An object whose record cannot be read
// either is left out, since it answers DATA_LOSS itself. An alarm that has just been changed may then be visited as it
// was before.
//
// Blocking: not on an executor. Memory: 20,000 alarms. Errors: those of the store; DATA_LOSS only if a damaged place
// could be read at the second try.
absl::Status ScanAlarms(Store* store, const WriteSet& pending, const KeyRange& range,
                        absl::FunctionRef<bool(const AlarmEntry& entry)> visit);

struct AlarmPage {
  std::vector<AlarmEntry> alarms;
  // Where the next page begins; empty if there is no next page.
  std::string next;
};

// Reads alarms by due time. `after` is `next` of the page before, or "". A page ends after `count_max` alarms, or with
// the one that makes its ids `bytes_max` long. Blocking: not on an executor. Errors: INVALID_ARGUMENT if `after` is no
// `next`; those of the store, DATA_LOSS where the index is damaged.
absl::StatusOr<AlarmPage> ReadAlarmPage(Store* store, absl::string_view after, size_t count_max, size_t bytes_max);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_ALARM_INDEX_H_
