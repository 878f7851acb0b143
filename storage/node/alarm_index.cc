#include "storage/node/alarm_index.h"

#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/base/log.h"
#include "storage/node/families.h"
#include "storage/object/keyspace.h"
#include "storage/store/damage.h"
#include "storage/store/format.h"

namespace holdfast::storage {
namespace {

// The most alarms of a damaged part of the index that are in memory at once; for more, the objects are read again.
constexpr size_t kFoundMax = 20'000;

using AlarmVisitor = absl::FunctionRef<bool(const AlarmEntry& entry)>;

// Calls `add` with the alarm of the object with this encoded id if it has one that can be read.
template <typename Add>
void ReadAlarmOf(Store* store, const Location& location, absl::string_view object, Add add) {
  std::string bytes;
  absl::Status error;
  v1::AlarmRecord record;
  if (store->Get(location, kAlarmKey, ReadTier::kDisk, &bytes, &error) == ReadResult::kFound &&
      record.ParseFromString(bytes)) {
    add({record.due_time_us(), std::string(object)});
  }
}

// Calls `add` with the alarms of all objects.
template <typename Add>
absl::Status ReadAlarmsOfObjects(Store* store, Add add) {
  for (const OwnFamily& family : store->ListOwnFamilies()) {
    ObjectId id;
    uint64_t generation;
    if (ParseFamilyName(family.name, &id, &generation)) {
      ReadAlarmOf(store, WholeFamily(family.id), ObjectKey(id).encoded(), add);
    }
  }
  // Goes from the first key of each object to that of the next.
  KeyRange rest = KeyRange::All();
  while (true) {
    std::optional<std::string> prefix;
    absl::Status status = ScanReadable(
        store, WholeFamily(FamilyId::kPacked), rest,
        [&](absl::string_view key, absl::string_view) {
          absl::string_view after = key;
          uint16_t shard;
          ObjectId id;
          if (!ConsumeUint16(&after, &shard) || !ConsumeText(&after, &id.ns) ||
              !ConsumeText(&after, &id.object_class) || !ConsumeText(&after, &id.name)) {
            return true;
          }
          prefix = std::string(key.substr(0, key.size() - after.size()));
          return false;
        },
        [](const KeyRange&, const absl::Status&) {});
    if (!status.ok() || !prefix) return status;
    ReadAlarmOf(store, {FamilyId::kPacked, *prefix}, absl::string_view(*prefix).substr(sizeof(uint16_t)), add);
    rest.start = PrefixEnd(*prefix);
  }
}

// Returns whether `visit` wants more.
absl::StatusOr<bool> VisitByObjects(Store* store, const WriteSet& pending, KeyRange part, AlarmVisitor visit) {
  while (true) {
    std::set<AlarmEntry> found;  // the first ones of the part
    bool more = false;
    const auto add = [&](AlarmEntry entry) {
      if (!part.Contains(AlarmIndexKey(entry.due_us, entry.object))) return;
      found.insert(std::move(entry));
      if (found.size() <= kFoundMax) return;
      found.erase(std::prev(found.end()));
      more = true;
    };
    for (const auto& [key, value] : pending.points()) {
      AlarmEntry entry;
      if (value && ParseAlarmIndexKey(key, &entry)) add(std::move(entry));
    }
    if (absl::Status status = ReadAlarmsOfObjects(store, add); !status.ok()) return status;
    for (const AlarmEntry& entry : found) {
      const std::string key = AlarmIndexKey(entry.due_us, entry.object);
      const std::string* value;
      if (pending.Find(key, &value) != WriteSet::Verdict::kRemoved && !visit(entry)) return false;
      part.start = key + '\0';
    }
    if (!more) return true;
  }
}

}  // namespace

absl::Status ScanAlarms(Store* store, const WriteSet& pending, const KeyRange& range, AlarmVisitor visit) {
  const Location location = WholeFamily(FamilyId::kAlarms);
  KeyRange rest = range;
  while (!rest.IsEmpty()) {
    View view(store, &location, {&pending}, ReadTier::kDisk);
    const KeyRange part = rest;
    absl::Status status = view.Scan(part, false, [&](absl::string_view key, absl::string_view) {
      rest.start = std::string(key) + '\0';
      AlarmEntry entry;
      return !ParseAlarmIndexKey(key, &entry) || visit(entry);
    });
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    const std::optional<std::string> next = ReadableFrom(store, location, rest);
    if (next == rest.start) continue;
    const KeyRange damaged{rest.start, next.value_or(rest.end)};
    Log(LogLevel::kError, "alarm_index_damaged",
        {{"status", status.ToString()},
         {"from", absl::CHexEscape(damaged.start)},
         {"to", absl::CHexEscape(damaged.end)},
         {"instead", "the alarms of all objects are read"}});
    const absl::StatusOr<bool> wants_more = VisitByObjects(store, pending, damaged, visit);
    if (!wants_more.ok() || !*wants_more || !next) return wants_more.status();
    rest.start = *next;
  }
  return absl::OkStatus();
}

absl::StatusOr<AlarmPage> ReadAlarmPage(Store* store, absl::string_view after, size_t count_max, size_t bytes_max) {
  AlarmPage page;
  KeyRange range = KeyRange::All();
  if (!after.empty()) {
    AlarmEntry last;
    if (!ParseAlarmIndexKey(after, &last)) return absl::InvalidArgumentError("is no place in the list of alarms");
    range.start = std::string(after) + '\0';
  }
  size_t bytes = 0;
  const Location location = WholeFamily(FamilyId::kAlarms);
  View view(store, &location, {}, ReadTier::kDisk);
  const absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view) {
    AlarmEntry entry;
    if (!ParseAlarmIndexKey(key, &entry)) return true;
    if (page.alarms.size() >= count_max || bytes >= bytes_max) {
      page.next = AlarmIndexKey(page.alarms.back().due_us, page.alarms.back().object);
      return false;
    }
    bytes += entry.object.size();
    page.alarms.push_back(std::move(entry));
    return true;
  });
  if (!status.ok()) return status;
  return page;
}

}  // namespace holdfast::storage
