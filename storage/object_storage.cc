#include "storage/object_storage.h"

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/format.h"

namespace holdfast::storage {
namespace {

// An object with no more keys than this is emptied key by key: a removed range costs every later read in its family.
constexpr size_t kDeleteByKeyMax = 1000;

std::string EntryKey(absl::string_view key) { return absl::StrCat(absl::string_view(&kEntryKind, 1), key); }

absl::Status CheckKey(absl::string_view key) {
  if (key.empty()) return absl::InvalidArgumentError("key is empty");
  if (key.size() > kEntryKeyBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("key has ", key.size(), " bytes; at most ", kEntryKeyBytesMax));
  }
  return absl::OkStatus();
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

// The range of keys, as stored, that the options ask for.
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

Read<std::optional<std::string>> ObjectStorage::Get(absl::string_view key) {
  if (absl::Status status = CheckKey(key); !status.ok()) return Read<std::optional<std::string>>(status);
  const std::string full = EntryKey(key);
  return {this, KeyRange::Single(full), [full](View& view) { return view.Get(full); }};
}

Read<std::map<std::string, std::string>> ObjectStorage::GetMany(absl::Span<const std::string> keys) {
  using Map = std::map<std::string, std::string>;
  if (absl::Status status = CheckKeys(keys); !status.ok()) return Read<Map>(status);
  return {this, KeyRange::Prefix({&kEntryKind, 1}),
          [keys = std::vector<std::string>(keys.begin(), keys.end())](View& view) -> absl::StatusOr<Map> {
            Map found;
            for (const std::string& key : keys) {
              auto value = view.Get(EntryKey(key));
              if (!value.ok()) return value.status();
              if (*value) found.emplace(key, std::move(**value));
            }
            return found;
          }};
}

Read<std::vector<Entry>> ObjectStorage::List(const ListOptions& options) {
  absl::StatusOr<KeyRange> range = ListRange(options);
  if (!range.ok()) return Read<std::vector<Entry>>(range.status());
  return {this, *range,
          [range = *range, reverse = options.reverse,
           limit = options.limit](View& view) -> absl::StatusOr<std::vector<Entry>> {
            std::vector<Entry> entries;
            absl::Status status = view.Scan(range, reverse, [&](absl::string_view key, absl::string_view value) {
              entries.emplace_back(std::string(key.substr(1)), std::string(value));
              return !limit || static_cast<int64_t>(entries.size()) < *limit;
            });
            if (!status.ok()) return status;
            return entries;
          }};
}

absl::Status ObjectStorage::Put(absl::string_view key, std::string value) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (value.size() > kEntryValueBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("value has ", value.size(), " bytes; at most ", kEntryValueBytesMax));
  }
  turn_.Put(EntryKey(key), std::move(value));
  return absl::OkStatus();
}

absl::Status ObjectStorage::PutMany(absl::Span<const Entry> entries) {
  if (absl::Status status = CheckCount(entries.size()); !status.ok()) return status;
  for (const auto& [key, value] : entries) {
    if (absl::Status status = CheckKey(key); !status.ok()) return status;
    if (value.size() > kEntryValueBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("value has ", value.size(), " bytes; at most ", kEntryValueBytesMax));
    }
  }
  for (const auto& [key, value] : entries) turn_.Put(EntryKey(key), value);
  return absl::OkStatus();
}

Read<int64_t> ObjectStorage::Delete(absl::Span<const std::string> keys) {
  if (absl::Status status = CheckKeys(keys); !status.ok()) return Read<int64_t>(status);
  auto unique = std::make_shared<std::vector<std::string>>(keys.begin(), keys.end());
  std::sort(unique->begin(), unique->end());
  unique->erase(std::unique(unique->begin(), unique->end()), unique->end());
  return {this, KeyRange::Prefix({&kEntryKind, 1}),
          [unique](View& view) -> absl::StatusOr<int64_t> {
            int64_t existed = 0;
            for (const std::string& key : *unique) {
              auto value = view.Get(EntryKey(key));
              if (!value.ok()) return value.status();
              if (*value) ++existed;
            }
            return existed;
          },
          [this, unique](int64_t&) {
            for (const std::string& key : *unique) turn_.Delete(EntryKey(key));
            return absl::OkStatus();
          }};
}

Read<bool> ObjectStorage::DeleteAll(bool keep_alarm) {
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
            if (keys->size() > kDeleteByKeyMax) {
              turn_.DeleteRange(KeyRange::All());
            } else {
              // What the turn has removed before stays removed; what it has put is among the keys.
              for (const std::string& key : *keys) turn_.Delete(key);
            }
            deleted_all_ = true;
            if (!keep_alarm) DeleteAlarm();
            return absl::OkStatus();
          }};
}

void ObjectStorage::SetAlarm(absl::Time time) { alarm_change_ = AlarmChange{time}; }

void ObjectStorage::DeleteAlarm() { alarm_change_ = AlarmChange{}; }

std::optional<absl::Time> ObjectStorage::alarm() const { return alarm_change_ ? alarm_change_->time : stored_alarm_; }

View ObjectStorage::MemoryView() {
  return View(store_, &keyspace_->location(), keyspace_->Layers(&turn_), ReadTier::kMemory);
}

void ObjectStorage::ReadFromDisk(const KeyRange& range, absl::AnyInvocable<void(View&)> read,
                                 absl::AnyInvocable<void()> done) {
  auto pending = std::make_unique<WriteSet>();
  const std::vector<const WriteSet*> layers = keyspace_->Layers(&turn_);
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) (*layer)->CopyRangeOnto(range, pending.get());
  background_->Run(
      [store = store_, location = keyspace_->location(), pending = std::move(pending),
       read = std::move(read)]() mutable {
        View view(store, &location, {pending.get()}, ReadTier::kDisk);
        read(view);
      },
      std::move(done));
}

void ObjectStorage::DropTurn() {
  turn_.Clear();
  deleted_all_ = false;
  alarm_change_.reset();
}

}  // namespace holdfast::storage
