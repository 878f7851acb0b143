// A store whose commits can be made to fail, as on a disk that breaks. Everything else goes to the store beneath.

#ifndef HOLDFAST_TESTS_BLACKBOX_FAULT_STORE_H_
#define HOLDFAST_TESTS_BLACKBOX_FAULT_STORE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/store/store.h"

namespace holdfast::testing {

// Decides how commits fail; one for the process. Any thread may use it.
struct Fault {
  std::atomic<bool> fail = false;
  // Carries the first commit out before it fails: the data on disk then differ from what the caller was told.
  std::atomic<bool> apply = false;
};

class FaultStore : public storage::Store {
 public:
  FaultStore(std::unique_ptr<storage::Store> store, Fault* fault) : store_(std::move(store)), fault_(fault) {}

  storage::ReadResult Get(const storage::Location& location, absl::string_view key, storage::ReadTier tier,
                          std::string* value, absl::Status* error) override {
    return store_->Get(location, key, tier, value, error);
  }
  std::unique_ptr<storage::Cursor> NewCursor(const storage::Location& location, storage::KeyRange range,
                                             storage::ReadTier tier) override {
    return store_->NewCursor(location, std::move(range), tier);
  }
  absl::Status CommitSync(absl::Span<const storage::KeyspaceWrites> writes) override {
    if (!fault_->fail) return store_->CommitSync(writes);
    if (fault_->apply.exchange(false)) {
      if (absl::Status status = store_->CommitSync(writes); !status.ok()) return status;
    }
    return absl::InternalError("the disk of the test failed");
  }
  bool HoldsLease() override { return store_->HoldsLease(); }
  bool DiskFull() override { return store_->DiskFull(); }
  absl::StatusOr<storage::FamilyId> CreateFamily(absl::string_view name) override { return store_->CreateFamily(name); }
  absl::Status DropFamily(storage::FamilyId family) override { return store_->DropFamily(family); }
  std::vector<storage::OwnFamily> ListOwnFamilies() override { return store_->ListOwnFamilies(); }

 private:
  const std::unique_ptr<storage::Store> store_;
  Fault* const fault_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_BLACKBOX_FAULT_STORE_H_
