// The store of a cluster in several databases: a store for each of them, over which it only deals out and merges.
//
// Each part is a whole store with commit logs, folds and a lease of its own. An executor works with one part alone
// (ForExecutor), past this; so one database that is away holds up no commit, fold or read of another. The methods here
// are for what concerns all objects: lists, counts, the copy of a store, status.
//
// An entry lies in the part of its shard (row_key.h). Entries of the node's family are those of a run or a log, which
// lie in the database of its writer, and some of the cluster as a whole, which lie in the first.
//
// A commit through this is a commit to each part that it names, one after the other: all or nothing in each part, but
// not over all. Nobody but a copy of a store commits so, and it begins anew where it was cut off.
//
// HoldsLease() is whether this process holds the leases of all parts, since a list shows objects of all.
//
// Threading: any thread.

#ifndef HOLDFAST_STORAGE_POSTGRES_DIVIDED_STORE_H_
#define HOLDFAST_STORAGE_POSTGRES_DIVIDED_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class DividedStore final : public Store {
 public:
  // Part i has what lies in database i. No part has families of single objects.
  explicit DividedStore(std::vector<std::unique_ptr<Store>> parts) : parts_(std::move(parts)) {}

  // Executor e works in database e modulo their number.
  Store* ForExecutor(int number) override;

  ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                 absl::Status* error) override;
  std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) override;
  void Prefetch(const Location& location, const KeyRange& range) override;
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override;
  bool HoldsLease() override;
  bool DiskFull() override;
  bool Overloaded() override;
  // The sums of all parts.
  StoreStats Stats() override;
  absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) override { return parts_.front()->CreateFamily(name); }
  absl::Status DropFamily(FamilyId family) override { return parts_.front()->DropFamily(family); }
  std::vector<OwnFamily> ListOwnFamilies() override { return {}; }

 private:
  // Returns the part that has the keys of a location of one object; null for a location of a whole family.
  Store* PartOf(const Location& location) const;
  // Returns the number of the part that has this key.
  size_t PartOf(const Location& location, absl::string_view key) const;

  const std::vector<std::unique_ptr<Store>> parts_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_POSTGRES_DIVIDED_STORE_H_
