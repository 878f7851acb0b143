#include "storage/postgres/cluster_map.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "storage/base/check.h"
#include "storage/postgres/connection.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kSeeWriters = {"see_writers",
                               "SELECT id, lane, epoch, batch, beat, owner, state, node, address, lease_ms"
                               " FROM hf_writer ORDER BY id"};
const Statement kSeeShards = {"see_shards", "SELECT id, coalesce(writer, 0), epoch FROM hf_shard ORDER BY id"};
const Statement kSeeLoads = {"see_loads",
                             "SELECT key, value FROM hf_entry WHERE family = 0 AND shard = -1"
                             " AND key >= 'load'::bytea AND key < 'loae'::bytea ORDER BY key"};

// Keeps sums of loads from an overflow, whatever the rows say.
constexpr int64_t kLoadMax = int64_t{1} << 40;
constexpr size_t kShardLoadKeyBytes = kShardLoadPrefix.size() + sizeof(uint32_t);
constexpr size_t kTellsLoadsKeyBytes = kShardLoadPrefix.size() + sizeof(int64_t);

// Rows that are of neither kind are left out: a later server may have others.
void TakeLoads(const Rows& rows, ClusterMap* map) {
  for (int i = 0; i < rows.count(); ++i) {
    absl::string_view key = rows.Bytes(i, 0);
    absl::string_view value = rows.Bytes(i, 1);
    const size_t key_bytes = key.size();
    key.remove_prefix(kShardLoadPrefix.size());
    if (key_bytes == kTellsLoadsKeyBytes) {
      int64_t writer;
      if (!ConsumeInt64(&key, &writer)) continue;
      for (auto& [owner, member] : map->members) {
        if (member.Has(writer)) member.tells_loads = true;
      }
    }
    uint32_t shard;
    int64_t load;
    if (key_bytes != kShardLoadKeyBytes || !ConsumeUint32(&key, &shard) || shard >= kShardCount) continue;
    if (ConsumeInt64(&value, &load)) map->shards[shard].load = std::clamp<int64_t>(load, 0, kLoadMax);
  }
}

// Two clocks run apart by less than this part, and one is late by less than this time.
constexpr double kClockRates = 0.01;
constexpr absl::Duration kClockSteps = absl::Milliseconds(50);

}  // namespace

int64_t Member::WriterOf(ShardId shard) const {
  const auto lanes = static_cast<int32_t>(absl::c_count_if(rows, [](const auto& row) { return row.lane != kNoLane; }));
  HOLDFAST_CHECK(lanes > 0, node);
  const auto row = absl::c_find_if(
      rows, [lane = part.LaneOf(shard, lanes)](const WriterRow& writer) { return writer.lane == lane; });
  return row == rows.end() ? 0 : row->id;
}

bool Member::Has(int64_t writer) const {
  return absl::c_any_of(rows, [writer](const WriterRow& row) { return row.id == writer; });
}

const Member* ClusterMap::OwnerOf(ShardId shard) const {
  const int64_t writer = shards[static_cast<size_t>(shard)].writer;
  for (const auto& [owner, member] : members) {
    if (member.Has(writer)) return &member;
  }
  return nullptr;
}

const Member* ClusterMap::Find(const std::string& owner) const {
  const auto found = members.find(owner);
  return found == members.end() ? nullptr : &found->second;
}

std::vector<ShardId> ClusterMap::ShardsOf(const Member& member) const {
  std::vector<ShardId> of_member;
  for (uint32_t shard = 0; shard < kShardCount; ++shard) {
    if (member.Has(shards[shard].writer)) of_member.push_back(ShardId(shard));
  }
  return of_member;
}

std::string ShardLoadKey(ShardId shard) {
  std::string key(kShardLoadPrefix);
  AppendUint32(&key, static_cast<uint32_t>(shard));
  return key;
}

std::string TellsLoadsKey(int64_t writer) {
  std::string key(kShardLoadPrefix);
  AppendInt64(&key, writer);
  return key;
}

void AddReadMap(Connection* connection) {
  connection->Add(kSeeWriters);
  connection->Add(kSeeShards);
  connection->Add(kSeeLoads);
}

ClusterMap TakeMap(absl::Span<const Rows> results, const DatabasePart& part) {
  ClusterMap map;
  map.part = part;
  const Rows& writers = results[results.size() - 3];
  for (int i = 0; i < writers.count(); ++i) {
    const WriterRow row = {.id = writers.Int(i, 0),
                           .lane = static_cast<int32_t>(writers.Int(i, 1)),
                           .epoch = writers.Int(i, 2),
                           .batch = writers.Int(i, 3),
                           .beat = writers.Int(i, 4)};
    if (writers.IsNull(i, 5)) {
      map.ownerless.push_back(row.id);
      continue;
    }
    Member& member = map.members[std::string(writers.Bytes(i, 5))];
    member.owner = std::string(writers.Bytes(i, 5));
    member.part = part;
    // The state of a member is that of the row which it commits to with its moves.
    if (row.lane == kNoLane || member.rows.empty()) member.state = static_cast<MemberState>(writers.Int(i, 6));
    member.node = std::string(writers.Bytes(i, 7));
    member.address = std::string(writers.Bytes(i, 8));
    member.lease = absl::Milliseconds(writers.Int(i, 9));
    member.rows.push_back(row);
  }
  const Rows& shards = results[results.size() - 2];
  for (int i = 0; i < shards.count(); ++i) {
    const int64_t id = shards.Int(i, 0);
    if (id < 0 || id >= static_cast<int64_t>(kShardCount)) continue;
    map.shards[static_cast<size_t>(id)] = {.writer = shards.Int(i, 1), .epoch = shards.Int(i, 2)};
  }
  TakeLoads(results.back(), &map);
  return map;
}

absl::Duration SilenceWatch::SilenceOf(const Member& member) { return member.lease * (1 + kClockRates) + kClockSteps; }

void SilenceWatch::Look(const ClusterMap& map, absl::Duration asked_at, absl::Duration answered_at) {
  if (asked_at - answered_at_ > look_gap_max_) watched_.clear();
  asked_at_ = asked_at;
  answered_at_ = answered_at;
  std::map<std::string, Watched> before = std::exchange(watched_, {});
  for (const auto& [owner, member] : map.members) {
    const auto watched = before.find(owner);
    if (watched != before.end() && watched->second.rows == member.rows) {
      watched_[owner] = std::move(watched->second);
    } else {
      watched_[owner] = {member.rows, answered_at};
    }
  }
}

bool SilenceWatch::IsSilent(const Member& member) const {
  const auto watched = watched_.find(member.owner);
  return watched != watched_.end() && watched->second.rows == member.rows &&
         asked_at_ - watched->second.since > SilenceOf(member);
}

}  // namespace holdfast::storage::postgres
