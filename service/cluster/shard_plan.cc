#include "service/cluster/shard_plan.h"

#include <algorithm>
#include <cstdint>
#include <map>

namespace holdfast::service {
namespace {

using storage::ShardId;
using storage::postgres::MemberState;

ShardMove MoveTo(const ClusterMap& map, ShardId shard, const Member& to) {
  return {shard, map.shards[static_cast<size_t>(shard)].epoch, to.WriterOf(shard)};
}

}  // namespace

std::vector<const Member*> Takers(const ClusterMap& map, IsSilent is_silent) {
  std::vector<const Member*> takers;
  for (const auto& [owner, member] : map.members) {
    const bool stays = member.state == MemberState::kNode || member.state == MemberState::kAlone;
    if (stays && !is_silent(member)) takers.push_back(&member);
  }
  return takers;
}

ShardPlan PlanShards(const ClusterMap& map, const Member& self, IsSilent is_silent, size_t moves_max) {
  ShardPlan plan;
  const std::vector<const Member*> takers = Takers(map, is_silent);
  const auto me = std::find_if(takers.begin(), takers.end(), [&](const Member* m) { return m->owner == self.owner; });
  if (me == takers.end()) return plan;
  const auto rank = static_cast<size_t>(me - takers.begin());

  // Shards that nobody has are dealt out in turn.
  size_t free = 0;
  for (const ShardId shard : map.part.Shards()) {
    if (map.OwnerOf(shard) != nullptr) continue;
    if (free++ % takers.size() == rank) plan.take.push_back(MoveTo(map, shard, self));
  }
  if (free > 0) return plan;

  std::map<const Member*, std::vector<ShardId>> has;
  size_t total = 0;
  for (const Member* taker : takers) total += (has[taker] = map.ShardsOf(*taker)).size();
  // Those that have most keep one more where the shares are not even.
  std::vector<const Member*> by_count = takers;
  std::stable_sort(by_count.begin(), by_count.end(),
                   [&](const Member* a, const Member* b) { return has[a].size() > has[b].size(); });
  std::map<const Member*, size_t> share;
  for (size_t i = 0; i < by_count.size(); ++i) {
    share[by_count[i]] = total / takers.size() + (i < total % takers.size() ? 1 : 0);
  }
  auto to = by_count.rbegin();
  for (const Member* from : by_count) {
    std::vector<ShardId>& shards = has[from];
    while (shards.size() > share[from]) {
      while (to != by_count.rend() && has[*to].size() >= share[*to]) ++to;
      if (to == by_count.rend()) return plan;
      if (from == *me && plan.give.size() < moves_max) plan.give.push_back(MoveTo(map, shards.back(), **to));
      has[*to].push_back(shards.back());
      shards.pop_back();
    }
  }
  return plan;
}

std::vector<ShardMove> PlanLeaving(const ClusterMap& map, const Member& from, IsSilent is_silent, size_t moves_max) {
  std::vector<ShardMove> moves;
  std::vector<std::pair<size_t, const Member*>> takers;
  for (const Member* taker : Takers(map, is_silent)) {
    if (taker->owner != from.owner) takers.emplace_back(map.ShardsOf(*taker).size(), taker);
  }
  if (takers.empty()) return moves;
  for (ShardId shard : map.ShardsOf(from)) {
    if (moves.size() == moves_max) break;
    const auto fewest =
        std::min_element(takers.begin(), takers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    moves.push_back(MoveTo(map, shard, *fewest->second));
    ++fewest->first;
  }
  return moves;
}

}  // namespace holdfast::service
