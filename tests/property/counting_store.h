// A store that sends reads to the disk at random while it is cold, and that counts the moves of objects by the places
// in their catalog records.

#ifndef HOLDFAST_TESTS_PROPERTY_COUNTING_STORE_H_
#define HOLDFAST_TESTS_PROPERTY_COUNTING_STORE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/node/families.h"
#include "storage/store/store.h"
#include "storage/store/stuck_cursor.h"
#include "tests/simulation/seed.h"

namespace holdfast::property {

struct MoveCounts {
  int64_t promoted = 0;
  int64_t in_steps = 0;  // moves among these with more than one commit
  int64_t packed = 0;
  // Times that a node ended after it had made a family and before the catalog named it: a move had begun.
  int64_t interrupted = 0;
};

class CountingStore : public storage::Store {
 public:
  // Both must outlive the store.
  CountingStore(storage::Store* store, MoveCounts* counts) : store_(store), counts_(counts) {
    auto cursor = store->NewCursor(storage::WholeFamily(storage::FamilyId::kCatalog), storage::KeyRange::All(),
                                   storage::ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound; cursor->Next()) {
      storage::v1::CatalogRecord record;
      if (!record.ParseFromArray(cursor->value().data(), static_cast<int>(cursor->value().size()))) continue;
      places_[std::string(cursor->key())] = {record.family_generation(), record.create_time_us()};
    }
  }

  void set_cold(bool cold) { cold_ = cold; }
  void set_seed(uint64_t seed) {
    dice_ = simulation::Dice(seed);
    as_it_is_ = seed % 2 == 0;
  }
  storage::Store* behind() { return store_; }

  // Called when the node ends, in a crash too: the families that it made and did not name are left over.
  void NodeEnded() {
    if (!unnamed_.empty()) ++counts_->interrupted;
    unnamed_.clear();
  }

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    if (tier == storage::ReadTier::kMemory && NeedsDisk()) return storage::ReadResult::kNeedsDisk;
    return store_->Get(location, key, as_it_is_ ? tier : storage::ReadTier::kDisk, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    if (tier == storage::ReadTier::kMemory && NeedsDisk())
      return std::make_unique<storage::StuckCursor>(storage::StuckCursor::NeedsDisk());
    return store_->NewCursor(location, std::move(range), as_it_is_ ? tier : storage::ReadTier::kDisk);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    for (const storage::KeyspaceWrites& part : writes) {
      if (auto made = unnamed_.find(part.location->family); made != unnamed_.end()) ++made->second.commits;
    }
    for (const storage::KeyspaceWrites& part : writes) {
      if (part.location->family != storage::FamilyId::kCatalog) continue;
      for (const auto& [object, value] : part.writes->points()) Note(object, value);
    }
    return store_->CommitSync(writes);
  }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override {
    storage::ObjectId id;
    uint64_t generation;
    auto family = store_->CreateFamily(name);
    if (family.ok() && storage::ParseFamilyName(name, &id, &generation)) unnamed_[*family] = {generation};
    return family;
  }
  absl::Status DropFamily(storage::FamilyId family) override {
    unnamed_.erase(family);
    return store_->DropFamily(family);
  }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return store_->ListOwnFamilies(); }

 private:
  // A family that was made and that the catalog does not name yet.
  struct Made {
    uint64_t generation = 0;
    int commits = 0;
  };
  struct Place {
    uint64_t generation = 0;
    int64_t create_time_us = 0;
  };

  bool NeedsDisk() { return cold_ && dice_.OneIn(3); }

  void Note(const std::string& object, const std::optional<std::string>& value) {
    storage::v1::CatalogRecord record;
    if (!value || !record.ParseFromString(*value)) {
      places_.erase(object);
      return;
    }
    Place& place = places_[object];
    if (place.generation != record.family_generation()) {
      if (record.family_generation() != 0) {
        ++counts_->promoted;
        const auto made = std::find_if(unnamed_.begin(), unnamed_.end(), [&](const auto& entry) {
          return entry.second.generation == record.family_generation();
        });
        if (made != unnamed_.end()) {
          if (made->second.commits > 1) ++counts_->in_steps;
          unnamed_.erase(made);
        }
      } else if (place.create_time_us == record.create_time_us()) {  // otherwise it was deleted and made anew
        ++counts_->packed;
      }
    }
    place = {record.family_generation(), record.create_time_us()};
  }

  storage::Store* const store_;
  MoveCounts* const counts_;
  simulation::Dice dice_{1};
  bool cold_ = false;
  bool as_it_is_ = true;
  std::map<std::string, Place> places_;
  std::map<storage::FamilyId, Made> unnamed_;
};

}  // namespace holdfast::property

#endif  // HOLDFAST_TESTS_PROPERTY_COUNTING_STORE_H_
