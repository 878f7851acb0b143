#include "service/cluster/shard_plan.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/types/span.h"

namespace holdfast::service {
namespace {

using storage::ShardId;
using storage::postgres::MemberState;

ShardMove MoveTo(const ClusterMap& map, ShardId shard, const Member& to) {
  return {shard, map.shards[static_cast<size_t>(shard)].epoch, to.WriterOf(shard)};
}

// Parts of the mean load above which the busiest node begins to give shards away, and down to which it goes on.
constexpr double kBusyBegin = 1.25;
constexpr double kBusyEnd = 1.1;
// Where shards are weighed, a node may have more or fewer than its share, by this part of it.
constexpr size_t kSlackPart = 2;

// The nodes that take shards, and what each has while the moves of a plan are made.
class Nodes {
 public:
  struct Move {
    const Member* from;
    const Member* to;
    ShardId shard;
  };

  Nodes(const ClusterMap& map, absl::Span<const Member* const> takers) : map_(map) {
    size_t shards = 0;
    bool weighed = true;
    for (const Member* taker : takers) {
      Node node{.member = taker, .shards = map.ShardsOf(*taker)};
      for (const ShardId shard : node.shards) node.load += LoadOf(shard);
      shards += node.shards.size();
      load_ += node.load;
      weighed = weighed && taker->tells_loads;
      nodes_.push_back(std::move(node));
    }
    // Those that have most keep one more where the shares are not even.
    absl::c_stable_sort(nodes_, [](const Node& a, const Node& b) { return a.shards.size() > b.shards.size(); });
    const size_t share = shards / nodes_.size();
    for (size_t i = 0; i < nodes_.size(); ++i) nodes_[i].share = share + (i < shards % nodes_.size() ? 1 : 0);
    slack_ = weighed ? static_cast<int64_t>(share / kSlackPart) : 0;
  }

  // Moves a shard from the node that has most above its share to the one that has most below; nothing if both have
  // their share, within the slack.
  std::optional<Move> EvenCounts() {
    const auto [to, from] =
        absl::c_minmax_element(nodes_, [](const Node& a, const Node& b) { return a.over() < b.over(); });
    if (from->over() <= slack_ && to->over() >= -slack_) return std::nullopt;
    auto shard = Fitting(*from, *to);
    if (shard == from->shards.end()) shard = Lightest(*from);
    return MoveShard(&*from, &*to, shard);
  }

  // Returns whether the busiest node has more than this part of the mean, and no less than `load_min`.
  bool TooBusy(double part, int64_t load_min) const {
    const int64_t most = absl::c_max_element(nodes_, LessLoad)->load;
    const double mean = static_cast<double>(load_) / static_cast<double>(nodes_.size());
    return most >= load_min && static_cast<double>(most) > part * mean;
  }

  // Moves a shard from the busiest node to the idlest; nothing if none brings them closer to each other.
  std::optional<Move> EvenLoads() {
    const auto [to, from] = absl::c_minmax_element(nodes_, LessLoad);
    if (from->over() <= -slack_ || to->over() >= slack_) return std::nullopt;
    const auto shard = Fitting(*from, *to);
    if (shard == from->shards.end() || LoadOf(*shard) == 0) return std::nullopt;
    return MoveShard(&*from, &*to, shard);
  }

 private:
  using Shards = std::vector<ShardId>;
  struct Node {
    const Member* member;
    Shards shards;
    int64_t load = 0;
    size_t share = 0;

    int64_t over() const { return static_cast<int64_t>(shards.size()) - static_cast<int64_t>(share); }
  };

  static bool LessLoad(const Node& a, const Node& b) { return a.load < b.load; }
  int64_t LoadOf(ShardId shard) const { return map_.shards[static_cast<size_t>(shard)].load; }

  // Returns the busiest shard with which `from` stays at least as busy as `to` becomes; the end if there is none.
  Shards::iterator Fitting(Node& from, const Node& to) const {
    const int64_t load_max = (from.load - to.load) / 2;
    auto best = from.shards.end();
    for (auto shard = from.shards.begin(); shard != from.shards.end(); ++shard) {
      if (LoadOf(*shard) <= load_max && (best == from.shards.end() || LoadOf(*shard) >= LoadOf(*best))) best = shard;
    }
    return best;
  }
  Shards::iterator Lightest(Node& node) const {
    return absl::c_min_element(node.shards, [this](ShardId a, ShardId b) { return LoadOf(a) < LoadOf(b); });
  }

  Move MoveShard(Node* from, Node* to, Shards::iterator at) {
    const ShardId shard = *at;
    from->shards.erase(at);
    from->load -= LoadOf(shard);
    to->shards.push_back(shard);
    to->load += LoadOf(shard);
    return {from->member, to->member, shard};
  }

  const ClusterMap& map_;
  std::vector<Node> nodes_;
  int64_t load_ = 0;  // of all nodes
  int64_t slack_ = 0;
};

}  // namespace

std::vector<const Member*> Takers(const ClusterMap& map, IsSilent is_silent) {
  std::vector<const Member*> takers;
  for (const auto& [owner, member] : map.members) {
    const bool stays = member.state == MemberState::kNode || member.state == MemberState::kAlone;
    if (stays && !is_silent(member)) takers.push_back(&member);
  }
  return takers;
}

ShardPlan PlanShards(const ClusterMap& map, const Member& self, IsSilent is_silent, const PlanLimits& limits) {
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

  Nodes nodes(map, takers);
  const auto give = [&](const Nodes::Move& move) {
    if (move.from == *me && plan.give.size() < limits.moves_max) plan.give.push_back(MoveTo(map, move.shard, *move.to));
  };
  bool even = true;
  for (; std::optional<Nodes::Move> move = nodes.EvenCounts(); even = false) give(*move);
  if (!even || !nodes.TooBusy(kBusyBegin, limits.load_min)) return plan;
  while (nodes.TooBusy(kBusyEnd, limits.load_min)) {
    const std::optional<Nodes::Move> move = nodes.EvenLoads();
    if (!move) break;
    give(*move);
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
