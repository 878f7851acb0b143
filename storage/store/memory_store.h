// A store in memory, whose contents are gone with it. It is the reference model of RocksDbStore in tests, and the store
// of simulations, which keep one across the lives of a node to play a restart.

#ifndef HOLDFAST_STORAGE_STORE_MEMORY_STORE_H_
#define HOLDFAST_STORAGE_STORE_MEMORY_STORE_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/mutex.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class MemoryStore : public Store {
 public:
  MemoryStore();

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override;
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override;
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override;
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override;
  absl::Status DropFamily(FamilyId family) override;
  std::vector<OwnFamily> ListOwnFamilies() override;
  bool HoldsLease() override { return holds_lease_; }
  bool DiskFull() override { return disk_full_; }

  // For tests: while the store is cold, reads of the memory tier return kNeedsDisk.
  void set_cold(bool cold) { cold_ = cold; }
  void set_disk_full(bool full) { disk_full_ = full; }
  void set_holds_lease(bool holds) { holds_lease_ = holds; }
  // Commits end with `error` from now on, and apply nothing: they fail, or with NotOwner() they are refused.
  void set_commit_error(absl::Status error);
  // CreateFamily fails with `error` from now on.
  void set_create_error(absl::Status error);

 private:
  // The entries are copied on write, so that a cursor keeps its view.
  using Entries = std::map<std::string, std::string, std::less<>>;
  struct Family {
    std::string name;
    std::shared_ptr<Entries> entries = std::make_shared<Entries>();
  };

  // Returns the entries to change: a copy if a cursor still reads them.
  static Entries* Writable(Family* family);

  std::atomic<bool> cold_ = false;
  std::atomic<bool> disk_full_ = false;
  std::atomic<bool> holds_lease_ = true;

  Mutex mutex_;
  std::map<FamilyId, Family> families_ ABSL_GUARDED_BY(mutex_);
  uint32_t next_family_ ABSL_GUARDED_BY(mutex_) = static_cast<uint32_t>(FamilyId::kFirstOwn);
  absl::Status commit_error_ ABSL_GUARDED_BY(mutex_);
  absl::Status create_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_MEMORY_STORE_H_
