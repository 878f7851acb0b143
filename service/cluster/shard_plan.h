// Who is to have which shard: the same plan on every node that sees the same map, so that each can carry out its own
// part and no two parts contradict each other. Nodes that see different maps for a moment may move a shard once more
// than necessary; a map in which all nodes have their fair share is changed by nobody.
//
// Pure functions. The shares are numbers of shards: all nodes count the same.

#ifndef HOLDFAST_SERVICE_CLUSTER_SHARD_PLAN_H_
#define HOLDFAST_SERVICE_CLUSTER_SHARD_PLAN_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/membership.h"

namespace holdfast::service {

using storage::postgres::ClusterMap;
using storage::postgres::Member;
using ShardMove = storage::postgres::Membership::Move;
using IsSilent = absl::FunctionRef<bool(const Member&)>;

// Returns the members that take shards, by owner: those that are alive and mean to stay.
std::vector<const Member*> Takers(const ClusterMap& map, IsSilent is_silent);

// Returns the part of `self` in the moves that give each taker its fair share: the shards that nobody has and that fall
// to it, and those that it has too many.
struct ShardPlan {
  std::vector<ShardMove> take;
  std::vector<ShardMove> give;  // at most moves_max
};
ShardPlan PlanShards(const ClusterMap& map, const Member& self, IsSilent is_silent, size_t moves_max);

// Returns at most moves_max moves that give away shards of `from`, which keeps none in the end, to those with the
// fewest. Nothing if there is nobody to take them.
std::vector<ShardMove> PlanLeaving(const ClusterMap& map, const Member& from, IsSilent is_silent, size_t moves_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_SHARD_PLAN_H_
