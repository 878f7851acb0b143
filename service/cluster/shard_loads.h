// How busy the shards of a node are: turns a second of each, requests and alarms alike. The load that a node tells is
// the mean of what it has told before and what it has counted since, so one burst moves no shard. Loads travel with
// their shards: a new owner begins with what the old one has told.
//
// Threading: one thread.

#ifndef HOLDFAST_SERVICE_CLUSTER_SHARD_LOADS_H_
#define HOLDFAST_SERVICE_CLUSTER_SHARD_LOADS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/membership.h"

namespace holdfast::service {

class ShardLoads {
 public:
  // With an interval without end nothing is ever due.
  explicit ShardLoads(absl::Duration interval) : interval_(interval) {}

  // The shard has come: it is not told before it was here for a whole interval.
  void Gained(storage::ShardId shard) { counted_[static_cast<size_t>(shard)].whole = false; }

  // Returns whether an interval has passed since the last count.
  bool due(absl::Duration now) const { return now >= next_ && interval_ != absl::InfiniteDuration(); }
  // Returns whether the last count was of a whole interval.
  bool whole() const { return whole_; }
  // Counts. `turns_of` returns all turns of a shard so far. Returns the loads that have changed so much that they are
  // to be told, of shards that the member has.
  std::vector<storage::postgres::Membership::Load> Count(absl::Duration now, const storage::postgres::ClusterMap& map,
                                                         const storage::postgres::Member& self,
                                                         absl::FunctionRef<uint64_t(storage::ShardId shard)> turns_of);

 private:
  struct Counted {
    uint64_t turns = 0;
    bool whole = false;  // the shard has been here since the last count
  };

  const absl::Duration interval_;
  std::array<Counted, storage::kShardCount> counted_ = {};
  absl::Duration counted_at_ = absl::ZeroDuration();
  absl::Duration next_ = absl::ZeroDuration();
  bool whole_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_SHARD_LOADS_H_
