#include "storage/object/object_storage.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/store/format.h"

namespace holdfast::storage {
namespace {

// An object with no more keys than this is emptied key by key: a removed range costs every later read in its family.
constexpr size_t kDeleteByKeyMax = 1000;

absl::Status CheckKey(absl::string_view key) {
  if (key.empty()) return absl::InvalidArgumentError("key is empty");
  if (key.size() > kEntryKeyBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("key has ", key.size(), " bytes; at most ", kEntryKeyBytesMax));
  }
  return absl::OkStatus();
}

absl::Status CheckEntry(absl::string_view key, absl::string_view value) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (value.size() <= kEntryValueBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("value has ", value.size(), " bytes; at most ", kEntryValueBytesMax));
}

absl::Status CheckCount(size_t count) {
  if (count <= kEntriesPerCallMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(count, " keys in one call; at most ", kEntriesPerCallMax));
}

absl::Status CheckKeys(absl::Span<const std::string> keys) {
  if (absl::Status status = CheckCount(keys.size()); !status.ok()) return status;
  for (const std::string& key : keys) {
    if (absl::Status status = CheckKey(key); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Returns the range of stored keys that the options ask for.
absl::StatusOr<KeyRange> ListRange(const ListOptions& options) {
  if (options.start && options.start_after) {
    return absl::InvalidArgumentError("start and start_after exclude each other");
  }
  if (options.limit && *options.limit < 1) return absl::InvalidArgumentError("limit must be at least 1");
  KeyRange range = KeyRange::Prefix(EntryKey(options.prefix));
  if (options.start) range.start = std::max(range.start, EntryKey(*options.start));
  if (options.start_after) range.start = std::max(range.start, EntryKey(*options.start_after) + '\0');
  if (options.end) range.end = std::min(range.end, EntryKey(*options.end));
  return range;
}

}  // namespace

std::string EntryKey(absl::string_view key) { return absl::StrCat(absl::string_view(&kEntryKind, 1), key); }

ObjectStorage::ObjectStorage(Store* store, Background* background, Keyspace* keyspace, const sql::Environment* sql,
                             Resumer* resumer)
    : KeyspaceReader(store, background, keyspace, resumer), sql_environment_(sql) {}

ObjectStorage::~ObjectStorage() = default;

std::string ObjectStorage::ns() const {
  ObjectId id;
  if (object_ != nullptr) object_->Decode(&id);
  return id.ns;
}

ObjectStorage::Turn& ObjectStorage::turn() {
  if (turn_ == nullptr) {
    turn_ = std::make_unique<Turn>();
    set_turn(&turn_->writes);
  }
  return *turn_;
}

void ObjectStorage::CloseSql() { database_ = nullptr; }

size_t ObjectStorage::MemoryBytes() const { return database_ == nullptr ? 0 : database_->MemoryBytes(); }

StorageOp<std::optional<std::string>> ObjectStorage::Get(absl::string_view key) {
  if (absl::Status status = CheckKey(key); !status.ok()) return StorageOp<std::optional<std::string>>(status);
  const std::string full = EntryKey(key);
  return {this, KeyRange::Single(full), [full](View& view) { return view.Get(full); }};
}

StorageOp<std::map<std::string, std::string>> ObjectStorage::GetMany(absl::Span<const std::string> keys,
                                                                     size_t bytes_max) {
  using Map = std::map<std::string, std::string>;
  if (absl::Status status = CheckKeys(keys); !status.ok()) return StorageOp<Map>(status);
  return {this, KeyRange::Prefix({&kEntryKind, 1}),
          [keys = std::set<std::string>(keys.begin(), keys.end()), bytes_max](View& view) -> absl::StatusOr<Map> {
            Map found;
            size_t bytes = 0;
            for (const std::string& key : keys) {
              auto value = view.Get(EntryKey(key));
              if (!value.ok()) return value.status();
              if (!*value) continue;
              bytes += key.size() + (*value)->size();
              if (bytes > bytes_max) return absl::OutOfRangeError(absl::StrCat("over ", bytes_max, " bytes"));
              found.emplace(key, std::move(**value));
            }
            return found;
          }};
}

StorageOp<std::vector<Entry>> ObjectStorage::List(const ListOptions& options) {
  absl::StatusOr<KeyRange> range = ListRange(options);
  if (!range.ok()) return StorageOp<std::vector<Entry>>(range.status());
  return {this, *range,
          [range = *range, reverse = options.reverse, limit = options.limit,
           bytes_max = options.bytes_max](View& view) -> absl::StatusOr<std::vector<Entry>> {
            std::vector<Entry> entries;
            size_t bytes = 0;
            absl::Status status = view.Scan(range, reverse, [&](absl::string_view key, absl::string_view value) {
              key.remove_prefix(1);
              entries.emplace_back(std::string(key), std::string(value));
              bytes += key.size() + value.size();
              return bytes < bytes_max && (!limit || static_cast<int64_t>(entries.size()) < *limit);
            });
            if (!status.ok()) return status;
            return entries;
          }};
}

absl::Status ObjectStorage::Put(absl::string_view key, std::string value) {
  if (absl::Status status = CheckEntry(key, value); !status.ok()) return status;
  // The size of the old value counts for the object's size. An old value that is not in memory is taken to have the new
  // size, since a put does not wait for the disk.
  std::optional<size_t> replaced_bytes;
  View view = MemoryView();
  auto old = view.Get(EntryKey(key));
  if (!old.ok() || view.needs_disk()) {
    replaced_bytes = value.size();
  } else if (*old) {
    replaced_bytes = (*old)->size();
  }
  return Write(key, std::move(value), replaced_bytes);
}

absl::Status ObjectStorage::Write(absl::string_view key, std::string value, std::optional<size_t> replaced_bytes) {
  if (absl::Status status = CheckEntry(key, value); !status.ok()) return status;
  if (!replaced_bytes) {
    ++usage().entries;
    usage().size_bytes += static_cast<int64_t>(key.size());
  }
  usage().size_bytes += static_cast<int64_t>(value.size()) - static_cast<int64_t>(replaced_bytes.value_or(0));
  writes().Put(EntryKey(key), std::move(value));
  return absl::OkStatus();
}

void ObjectStorage::Erase(absl::string_view key, size_t value_bytes) {
  --usage().entries;
  usage().size_bytes -= static_cast<int64_t>(key.size() + value_bytes);
  writes().Delete(EntryKey(key));
}

StorageOp<int64_t> ObjectStorage::Delete(absl::Span<const std::string> keys) {
  if (absl::Status status = CheckKeys(keys); !status.ok()) return StorageOp<int64_t>(status);
  struct Found {
    std::string key;
    size_t value_bytes;
  };
  auto found = std::make_shared<std::vector<Found>>();
  return {this, KeyRange::Prefix({&kEntryKind, 1}),
          [keys = std::set<std::string>(keys.begin(), keys.end()), found](View& view) -> absl::StatusOr<int64_t> {
            found->clear();
            for (const std::string& key : keys) {
              auto value = view.Get(EntryKey(key));
              if (!value.ok()) return value.status();
              if (*value) found->push_back({key, (*value)->size()});
            }
            return static_cast<int64_t>(found->size());
          },
          [this, found](int64_t&) {
            for (const Found& entry : *found) Erase(entry.key, entry.value_bytes);
            return absl::OkStatus();
          }};
}

StorageOp<bool> ObjectStorage::DeleteAll(bool keep_alarm) {
  auto keys = std::make_shared<std::vector<std::string>>();
  return {this, KeyRange::All(),
          [keys](View& view) -> absl::StatusOr<bool> {
            keys->clear();
            absl::Status status = view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view) {
              keys->emplace_back(key);
              return keys->size() <= kDeleteByKeyMax;
            });
            if (!status.ok()) return status;
            return !keys->empty();
          },
          [this, keys, keep_alarm](bool&) {
            DeleteKeys(*keys, keep_alarm);
            turn().left = false;
            return absl::OkStatus();
          }};
}

StorageOp<std::vector<Entry>> ObjectStorage::ReadAll(size_t bytes_max) {
  return {this, KeyRange::All(), [bytes_max](View& view) -> absl::StatusOr<std::vector<Entry>> {
            std::vector<Entry> all;
            size_t bytes = 0;
            absl::Status status =
                view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
                  if (key == kObjectHeaderKey || key == kAlarmKey || key == kSqlImportKey) return true;
                  bytes += key.size() + value.size();
                  if (bytes <= bytes_max) all.emplace_back(key, value);
                  return bytes <= bytes_max;
                });
            if (!status.ok()) return status;
            if (bytes > bytes_max) return absl::OutOfRangeError("the object is too large");
            return all;
          }};
}

absl::Status ObjectStorage::PutAll(std::vector<Entry> keys) {
  absl::StatusOr<UsageChange> counted = CountKeys(keys);
  if (!counted.ok()) return counted.status();
  for (auto& [key, value] : keys) writes().Put(key, std::move(value));
  usage().size_bytes += counted->size_bytes;
  usage().entries += counted->entries;
  for (const auto& [table, rows] : counted->rows) usage().rows[table] += rows;
  return absl::OkStatus();
}

StorageOp<bool> ObjectStorage::DeleteIfEmpty() {
  auto keys = std::make_shared<std::vector<std::string>>();
  auto remainder = std::make_shared<std::optional<std::string>>();
  return {this, KeyRange::All(),
          [keys, remainder, alarm_set = alarm().has_value()](View& view) -> absl::StatusOr<bool> {
            keys->clear();
            remainder->reset();
            bool empty = !alarm_set;
            absl::Status status =
                view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
                  // The record of an alarm that has just been delivered is still there.
                  empty = empty && (key == kObjectHeaderKey || key == kAlarmKey || key == kRemainderKey);
                  keys->emplace_back(key);
                  if (key == kRemainderKey) *remainder = std::string(value);
                  return empty;
                });
            if (!status.ok()) return status;
            return empty;
          },
          [this, keys, remainder](bool& empty) {
            if (!empty) return absl::OkStatus();
            DeleteKeys(*keys, /*keep_alarm=*/false);
            turn().left = true;
            if (*remainder) writes().Put(kRemainderKey, **remainder);
            return absl::OkStatus();
          }};
}

void ObjectStorage::DeleteKeys(const std::vector<std::string>& keys, bool keep_alarm) {
  if (keys.size() > kDeleteByKeyMax) {
    writes().DeleteRange(KeyRange::All());
  } else {
    // Keys that the turn has removed before stay removed; keys that it has put are among `keys`.
    for (const std::string& key : keys) writes().Delete(key);
  }
  CloseSql();
  turn().deleted_all = true;
  usage() = {};
  usage().from_nothing = true;
  if (!keep_alarm) DeleteAlarm();
}

void ObjectStorage::SetAlarm(absl::Time time, AlarmClock clock) { turn().alarm = AlarmChange{time, clock}; }

void ObjectStorage::DeleteAlarm() { turn().alarm = AlarmChange{}; }

std::optional<absl::Time> ObjectStorage::alarm() const {
  if (turn_ != nullptr && turn_->alarm) return turn_->alarm->time;
  return stored_alarm_ == kNoAlarm ? std::nullopt : std::optional(stored_alarm_);
}

void ObjectStorage::DropTurn() {
  set_turn(nullptr);
  turn_ = nullptr;
}

}  // namespace holdfast::storage
