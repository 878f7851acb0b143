// A store that counts the operations that pass through it to another store, and shows the other store's contents.

#ifndef HOLDFAST_TESTS_SIMULATION_RECORDING_STORE_H_
#define HOLDFAST_TESTS_SIMULATION_RECORDING_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "storage/store/format.h"
#include "storage/store/store.h"

namespace holdfast::simulation {

class RecordingStore : public storage::Store {
 public:
  // `store` must outlive this store.
  explicit RecordingStore(storage::Store* store) : store_(store) {}

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    ++gets[location.family];
    return store_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    ++cursors[location.family];
    return store_->NewCursor(location, std::move(range), tier);
  }
  void Prefetch(const storage::Location& location, const storage::KeyRange& range) override {
    ++prefetches;
    last_prefetch = {location, range};
    store_->Prefetch(location, range);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    ++commits;
    for (const storage::KeyspaceWrites& part : writes) points[part.location->family] += part.writes->points().size();
    return store_->CommitSync(writes);
  }
  bool HoldsLease() override { return store_->HoldsLease(); }
  bool DiskFull() override { return store_->DiskFull(); }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override { return store_->CreateFamily(name); }
  absl::Status DropFamily(storage::FamilyId family) override { return store_->DropFamily(family); }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return store_->ListOwnFamilies(); }

  // Returns all entries by the names of their families, without the records of requests and of runs; empty families are
  // included.
  std::map<std::string, std::map<std::string, std::string>> Dump() {
    std::vector<storage::OwnFamily> families = {{storage::FamilyId::kNode, "node"},
                                                {storage::FamilyId::kCatalog, "catalog"},
                                                {storage::FamilyId::kAlarms, "alarms"},
                                                {storage::FamilyId::kPacked, "packed"}};
    for (const storage::OwnFamily& family : store_->ListOwnFamilies()) families.push_back(family);
    std::map<std::string, std::map<std::string, std::string>> dump;
    for (const storage::OwnFamily& family : families) dump[family.name] = DumpFamily(family.id);
    std::erase_if(dump["node"],
                  [](const auto& entry) { return absl::StartsWith(entry.first, storage::kRunClockPrefix); });
    return dump;
  }
  std::map<std::string, std::string> DumpFamily(storage::FamilyId family) {
    std::map<std::string, std::string> entries;
    auto cursor = store_->NewCursor(storage::WholeFamily(family), storage::KeyRange::All(), storage::ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound; cursor->Next()) {
      entries.emplace(std::string(cursor->key()), std::string(cursor->value()));
    }
    return entries;
  }
  size_t EntryCount() {
    size_t count = 0;
    for (const auto& [name, entries] : Dump()) count += entries.size();
    return count;
  }

  int commits = 0;
  std::map<storage::FamilyId, int> gets;
  std::map<storage::FamilyId, int> cursors;
  int prefetches = 0;
  std::pair<storage::Location, storage::KeyRange> last_prefetch;
  // Counts, by family, of keys that were put or deleted.
  std::map<storage::FamilyId, size_t> points;

 private:
  storage::Store* const store_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_RECORDING_STORE_H_
