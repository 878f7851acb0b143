// Who is to have which shard: the same plan on every node that sees the same map, so that each can carry out its own
// part and no two parts contradict each other. Nodes that see different maps for a moment may move a shard once more
// than necessary; a map in which all nodes have their fair share is changed by nobody.
//
// First counts, then loads. Each node is to have an equal number of shards, give or take one. Where all nodes tell the
// loads of their shards (shard_loads.h), it is to have from a half to one and a half of that, and the busiest node
// gives shards to the idlest when it has more than 1.25 of the mean load, until it has 1.1. Each such move makes the
// sum of the squares of the loads smaller and keeps the numbers within these bounds, so for loads that stay as they are
// the moves end.
//
// Pure functions.

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
struct PlanLimits {
  size_t moves_max;
  int64_t load_min;  // a node whose load, in turns a second, is less gives no shard away for it
};
ShardPlan PlanShards(const ClusterMap& map, const Member& self, IsSilent is_silent, const PlanLimits& limits);

// Returns at most moves_max moves that give away shards of `from`, which keeps none in the end, to those with the
// fewest. Nothing if there is nobody to take them.
std::vector<ShardMove> PlanLeaving(const ClusterMap& map, const Member& from, IsSilent is_silent, size_t moves_max);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CLUSTER_SHARD_PLAN_H_
