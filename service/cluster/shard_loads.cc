#include "service/cluster/shard_loads.h"

#include <cstdlib>

namespace holdfast::service {
namespace {

using storage::ShardId;
using storage::postgres::ClusterMap;
using storage::postgres::Member;
using storage::postgres::Membership;

// A load is told if it has changed by more than this part of what was told.
constexpr int64_t kChangedPart = 10;

}  // namespace

std::vector<Membership::Load> ShardLoads::Count(absl::Duration now, const ClusterMap& map, const Member& self,
                                                absl::FunctionRef<uint64_t(ShardId shard)> turns_of) {
  std::vector<Membership::Load> changed;
  const double seconds = absl::ToDoubleSeconds(now - counted_at_);
  for (const ShardId shard : map.ShardsOf(self)) {
    const auto index = static_cast<size_t>(shard);
    Counted& counted = counted_[index];
    const uint64_t turns = turns_of(shard);
    if (counted.whole && seconds > 0) {
      const int64_t told = map.shards[index].load;
      const double rate = static_cast<double>(turns - counted.turns) / seconds;
      // Rounded down, so that a shard that rests ends at 0.
      const auto load = static_cast<int64_t>((static_cast<double>(told) + rate) / 2);
      if (std::abs(load - told) > told / kChangedPart) changed.push_back({shard, load});
    }
    counted = {.turns = turns, .whole = true};
  }
  whole_ = next_ > absl::ZeroDuration();
  counted_at_ = now;
  next_ = now + interval_;
  return changed;
}

}  // namespace holdfast::service
