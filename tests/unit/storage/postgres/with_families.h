// A PostgresStore with what the suites of all stores use and it does not have: families of single objects, and walks
// over the whole packed family. A family is a packed location with a prefix of its own; a walk over the packed family
// is a walk over each location that was ever written, in order.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_WITH_FAMILIES_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_WITH_FAMILIES_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"
#include "storage/store/memory_store.h"
#include "storage/store/store.h"
#include "storage/store/stuck_cursor.h"

namespace holdfast::storage::postgres {

class WithFamilies : public Store {
 public:
  explicit WithFamilies(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  Store* below() { return store_.get(); }
  // Puts another store below, with the same contents; null: nothing until the next call.
  void SetBelow(std::unique_ptr<Store> store) { store_ = std::move(store); }

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override {
    return store_->Get(Below(location), key, tier, value, error);
  }
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override {
    if (location == WholeFamily(FamilyId::kPacked) && tier == ReadTier::kDisk) {
      if (auto walk = WalkOverAll(range)) return walk;
    }
    return store_->NewCursor(Below(location), std::move(range), tier);
  }
  void Prefetch(const Location& location, const KeyRange& range) override { store_->Prefetch(Below(location), range); }
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    std::deque<Location> locations;
    std::vector<KeyspaceWrites> below;
    for (const KeyspaceWrites& part : writes) {
      below.push_back({&locations.emplace_back(Below(*part.location)), part.writes});
      if (part.location->family != FamilyId::kPacked) continue;
      MutexLock lock(&mutex_);
      prefixes_.insert(part.location->prefix);
    }
    return store_->CommitSync(below);
  }

  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override {
    MutexLock lock(&mutex_);
    for (const auto& [id, known] : families_) {
      if (known == name) return absl::AlreadyExistsError("the family exists");
    }
    const auto id = static_cast<FamilyId>(next_++);
    families_[id] = std::string(name);
    return id;
  }
  absl::Status DropFamily(FamilyId family) override {
    MutexLock lock(&mutex_);
    return families_.erase(family) == 1 ? absl::OkStatus() : absl::InternalError("drop of a dropped family");
  }
  std::vector<OwnFamily> ListOwnFamilies() override {
    MutexLock lock(&mutex_);
    std::vector<OwnFamily> list;
    for (const auto& [id, name] : families_) list.push_back({id, name});
    return list;
  }

 private:
  static constexpr absl::string_view kFamilyPrefix = "\xfa";

  Location Below(const Location& location) {
    MutexLock lock(&mutex_);
    if (!families_.contains(location.family)) return location;
    return {FamilyId::kPacked, absl::StrCat(kFamilyPrefix, static_cast<int>(location.family), "/", location.prefix)};
  }

  // Returns null if all locations are one without a prefix, and there are no families.
  std::unique_ptr<Cursor> WalkOverAll(const KeyRange& range) {
    std::set<std::string> prefixes;
    bool has_families;
    {
      MutexLock lock(&mutex_);
      prefixes = prefixes_;
      has_families = !families_.empty();
    }
    if (prefixes == std::set<std::string>{""} && !has_families) return nullptr;
    auto entries = std::make_unique<MemoryStore>();
    WriteSet copy;
    for (const std::string& prefix : prefixes) {
      const auto cursor = store_->NewCursor({FamilyId::kPacked, prefix}, KeyRange::All(), ReadTier::kDisk);
      for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
        // Writes that are not folded are seen from a location without a prefix, those of families too.
        if (prefix.empty() && absl::StartsWith(cursor->key(), kFamilyPrefix)) continue;
        copy.Put(absl::StrCat(prefix, cursor->key()), std::string(cursor->value()));
      }
      if (!cursor->error().ok()) return std::make_unique<StuckCursor>(ReadResult::kError, cursor->error());
    }
    const Location whole = WholeFamily(FamilyId::kPacked);
    const KeyspaceWrites writes = {&whole, &copy};
    (void)entries->CommitSync({&writes, 1});
    auto cursor = entries->NewCursor(whole, range, ReadTier::kDisk);
    MutexLock lock(&mutex_);
    copies_.push_back(std::move(entries));
    return cursor;
  }

  std::unique_ptr<Store> store_;
  Mutex mutex_;
  std::map<FamilyId, std::string> families_ ABSL_GUARDED_BY(mutex_);
  uint32_t next_ ABSL_GUARDED_BY(mutex_) = static_cast<uint32_t>(FamilyId::kFirstOwn);
  std::set<std::string> prefixes_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<MemoryStore>> copies_ ABSL_GUARDED_BY(mutex_);  // cursors read them
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_POSTGRES_WITH_FAMILIES_H_
