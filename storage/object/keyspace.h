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
#include "storage/object/preread.h"
#include "storage/store/frozen_range.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

// The location of an object's keys, and the object's writes that are not durable yet. A keyspace belongs to the
// object's activation and to one executor. It must outlive the batches that name it (CommitPipeline).
class Keyspace {
 public:
  explicit Keyspace(Location location) : location_(std::move(location)) {}
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  const Location& location() const { return location_; }
  // Returns the layers that have writes, newest first; `turn`, if not null, comes before all others.
  std::vector<const WriteSet*> Layers(const WriteSet* turn) const;

  // This keyspace's parts of the two batches of the commit pipeline; null if a batch has none. Only the pipeline
  // changes them.
  struct Pending {
    WriteSet* filling = nullptr;
    const WriteSet* in_flight = nullptr;
  };
  Pending& pending() { return pending_; }

 private:
  const Location location_;
  Pending pending_;
};

// Reads one keyspace at one moment. With the memory tier, a read that would need the disk, or would hold up the
// executor, sets needs_disk(); its result must then be discarded.
class View {
 public:
  // Everything pointed to must outlive the view. `layers` are newest first. What `preread` covers is not read from the
  // store; it may be null.
  View(Store* store, const Location* location, std::vector<const WriteSet*> layers, ReadTier tier,
       const Preread* preread = nullptr)
      : store_(store),
        location_(location),
        layers_(std::move(layers)),
        tier_(tier),
        preread_(preread),
        entries_left_(tier == ReadTier::kMemory ? kInlineEntriesMax : INT64_MAX) {}

  // Errors here and below: DATA_LOSS if the store is damaged.
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key);

  // Calls `visit` with each entry in the range, ascending, or descending if `reverse`, until `visit` returns false. The
  // key and the value are valid during the call only.
  using Visitor = absl::FunctionRef<bool(absl::string_view key, absl::string_view value)>;
  absl::Status Scan(const KeyRange& range, bool reverse, Visitor visit);

  // Returns a snapshot of the range. Call it only on a view of the disk tier, and while nothing commits to the keyspace
  // that the view does not see.
  FrozenRange Freeze(const KeyRange& range) const;

  bool needs_disk() const { return needs_disk_; }
  // A reader calls this if its read would hold up the executor.
  void GoToDisk() { needs_disk_ = true; }
  ReadTier tier() const { return tier_; }

  // One read may look at this many entries on the executor; a longer read moves to another thread.
  static constexpr int kInlineEntriesMax = 512;

 private:
  Store* const store_;
  const Location* const location_;
  const std::vector<const WriteSet*> layers_;
  const ReadTier tier_;
  const Preread* const preread_;
  int64_t entries_left_;  // that scans may still look at
  bool needs_disk_ = false;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_KEYSPACE_H_
