#include "storage/postgres/divided_store.h"

#include <algorithm>
#include <optional>

#include "absl/strings/strip.h"
#include "storage/postgres/database_part.h"
#include "storage/postgres/row_key.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/merged_cursor.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {
namespace {

// Returns the number of the writer in a key of the node's family; nothing if the key has none.
std::optional<uint32_t> WriterIn(absl::string_view key) {
  uint32_t writer;
  for (const absl::string_view prefix : {kRunClockPrefix, kLogMarkPrefix}) {
    absl::string_view rest = key;
    if (absl::ConsumePrefix(&rest, prefix) && ConsumeUint32(&rest, &writer) && rest.empty()) return writer;
  }
  return std::nullopt;
}

}  // namespace

Store* DividedStore::PartOf(const Location& location) const {
  absl::string_view prefix = location.prefix;
  uint16_t shard;
  if (location.family != FamilyId::kPacked || !ConsumeUint16(&prefix, &shard)) return nullptr;
  return parts_[shard % parts_.size()].get();
}

size_t DividedStore::PartOf(const Location& location, absl::string_view key) const {
  if (location.family == FamilyId::kNode) {
    const std::optional<uint32_t> writer = WriterIn(key);
    return writer ? std::min<size_t>(postgres::DatabaseOfWriter(*writer), parts_.size() - 1) : 0;
  }
  const int16_t shard = postgres::RowSpace(location).ShardOf(key);
  return shard == postgres::kNoShard ? 0 : static_cast<size_t>(shard) % parts_.size();
}

Store* DividedStore::ForExecutor(int number) {
  const auto databases = static_cast<int>(parts_.size());
  return parts_[static_cast<size_t>(number % databases)]->ForExecutor(number / databases);
}

ReadResult DividedStore::Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                             absl::Status* error) {
  Store* const part = PartOf(location);
  return (part == nullptr ? parts_[PartOf(location, key)].get() : part)->Get(location, key, tier, value, error);
}

std::unique_ptr<Cursor> DividedStore::NewCursor(const Location& location, KeyRange range, ReadTier tier) {
  if (Store* const part = PartOf(location)) return part->NewCursor(location, std::move(range), tier);
  std::vector<std::unique_ptr<Cursor>> cursors;
  cursors.reserve(parts_.size());
  for (const auto& part : parts_) cursors.push_back(part->NewCursor(location, range, tier));
  return std::make_unique<MergedCursor>(std::move(cursors));
}

void DividedStore::Prefetch(const Location& location, const KeyRange& range) {
  if (Store* const part = PartOf(location)) part->Prefetch(location, range);
}

absl::Status DividedStore::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  for (size_t i = 0; i < parts_.size(); ++i) {
    std::vector<KeyspaceWrites> of_part;
    std::vector<std::unique_ptr<WriteSet>> taken;
    for (const KeyspaceWrites& keyspace : writes) {
      if (const Store* const part = PartOf(*keyspace.location)) {
        if (part == parts_[i].get()) of_part.push_back(keyspace);
        continue;
      }
      auto set = std::make_unique<WriteSet>();
      // A range of a family reaches over the shards of all parts.
      for (const KeyRange& range : keyspace.writes->removed()) set->DeleteRange(range);
      for (const auto& [key, value] : keyspace.writes->points()) {
        if (PartOf(*keyspace.location, key) != i) continue;
        value ? set->Put(key, *value) : set->Delete(key);
      }
      if (!set->empty()) of_part.push_back({keyspace.location, taken.emplace_back(std::move(set)).get()});
    }
    if (of_part.empty()) continue;
    if (absl::Status status = parts_[i]->CommitSync(of_part); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool DividedStore::HoldsLease() {
  return std::all_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->HoldsLease(); });
}

bool DividedStore::DiskFull() {
  return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->DiskFull(); });
}

bool DividedStore::Overloaded() {
  return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->Overloaded(); });
}

StoreStats DividedStore::Stats() {
  StoreStats sum;
  for (const auto& part : parts_) {
    const StoreStats stats = part->Stats();
    sum.block_cache_bytes += stats.block_cache_bytes;
    sum.block_cache_bytes_max += stats.block_cache_bytes_max;
    sum.block_cache_hits += stats.block_cache_hits;
    sum.block_cache_misses += stats.block_cache_misses;
    sum.unfolded_bytes += stats.unfolded_bytes;
    sum.unfolded_bytes_max += stats.unfolded_bytes_max;
  }
  return sum;
}

}  // namespace holdfast::storage
