// A store that hands everything on to another one. A test's store derives from it and says what it does otherwise.

#ifndef HOLDFAST_TESTS_SIMULATION_FORWARDING_STORE_H_
#define HOLDFAST_TESTS_SIMULATION_FORWARDING_STORE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/store/store.h"

namespace holdfast::simulation {

class ForwardingStore : public storage::Store {
 public:
  // `store` must outlive this.
  explicit ForwardingStore(storage::Store* store) : store_(store) {}

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    return store_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    return store_->NewCursor(location, std::move(range), tier);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    return store_->CommitSync(writes);
  }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override { return store_->CreateFamily(name); }
  absl::Status DropFamily(storage::FamilyId family) override { return store_->DropFamily(family); }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return store_->ListOwnFamilies(); }

 private:
  storage::Store* const store_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_FORWARDING_STORE_H_
