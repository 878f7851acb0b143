// One object's own keys, wherever in the store they lie, read through the writes that are not on disk yet.
//
// A read sees, newest first: the writes of the turn in progress, the batch that is being filled, the batch that is
// being committed, and the store. The layers are sets of writes and applying one twice changes nothing, so a read from
// disk may go on while a batch that it has copied becomes durable.

#ifndef HOLDFAST_STORAGE_OBJECT_KEYSPACE_H_
#define HOLDFAST_STORAGE_OBJECT_KEYSPACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store/frozen_range.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

// Where an object's keys are, and which of its writes are on their way. Belongs to its activation and to one executor;
// must outlive the batches that name it: see CommitPipeline.
class Keyspace {
 public:
  explicit Keyspace(Location location) : location_(std::move(location)) {}
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  const Location& location() const { return location_; }
  // Newest first; `turn`, if not null, before all.
  std::vector<const WriteSet*> Layers(const WriteSet* turn) const;

  // The parts of the two batches of the commit pipeline that are of this keyspace; null where there is none. The
  // pipeline alone changes them.
  struct Pending {
    WriteSet* filling = nullptr;
    const WriteSet* in_flight = nullptr;
  };
  Pending& pending() { return pending_; }

 private:
  const Location location_;
  Pending pending_;
};

// Reads of one keyspace at one moment. With the memory tier a read that would need the disk, or that would hold up the
// executor, sets needs_disk(); whatever was returned is then to be thrown away.
class View {
 public:
  // What is pointed to must outlive the view. `layers`: newest first.
  View(Store* store, const Location* location, std::vector<const WriteSet*> layers, ReadTier tier)
      : store_(store), location_(location), layers_(std::move(layers)), tier_(tier) {}

  // Errors here and below: DATA_LOSS where the store is damaged.
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key);

  // Calls `visit` with each entry in the range, ascending, or descending if `reverse`, until it returns false. The
  // views that it gets are valid during the call only.
  using Visitor = absl::FunctionRef<bool(absl::string_view key, absl::string_view value)>;
  absl::Status Scan(const KeyRange& range, bool reverse, Visitor visit);

  // The keys in the range as of now. Of the disk tier, and while nothing of the keyspace commits that it does not see.
  FrozenRange Freeze(const KeyRange& range) const;

  bool needs_disk() const { return needs_disk_; }
  // Whoever reads finds that it would hold up the executor.
  void GoToDisk() { needs_disk_ = true; }
  ReadTier tier() const { return tier_; }

  // So many entries one read may look at on the executor; beyond it the read moves to a thread of its own.
  static constexpr int kInlineEntriesMax = 512;

 private:
  Store* const store_;
  const Location* const location_;
  const std::vector<const WriteSet*> layers_;
  const ReadTier tier_;
  int scanned_ = 0;
  bool needs_disk_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_KEYSPACE_H_
