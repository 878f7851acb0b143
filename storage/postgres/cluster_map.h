// Who is in a cluster, and which shards each has: the rows of hf_writer and hf_shard at one moment.
//
// A member is a process with its writers, which share an owner: a random number of the process. It has a writer for
// each executor (by its number, the lane), and one for all else. A shard belongs to a writer of an executor; in a
// process shard s is always of the executor s modulo their number.
//
// A cluster in several databases has a map in each, of the shards there (database_part.h). A process is a member in
// each with the executors that work there, whose lanes are counted from 0, and has the same owner everywhere.
//
// The lease is of the member as a whole. Whoever has seen none of its rows change for a whole lease, by his own clock,
// may take all of them over in one transaction, which fails if one of them has changed.

#ifndef HOLDFAST_STORAGE_POSTGRES_CLUSTER_MAP_H_
#define HOLDFAST_STORAGE_POSTGRES_CLUSTER_MAP_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/postgres/database_part.h"
#include "storage/store/object_id.h"

namespace holdfast::storage::postgres {

class Connection;
class Rows;

// As hf_writer has it.
enum class MemberState : int16_t {
  kAlone = 0,     // the only one: nobody may join
  kNode = 1,      // takes shards
  kLeaving = 2,   // gives its shards away, and takes none
  kRecovery = 3,  // writes the logs of a dead member back, and gives its shards away
};

struct WriterRow {
  int64_t id;
  int32_t lane;  // kNoLane: the writer for all that no executor commits
  int64_t epoch;
  int64_t batch;
  int64_t beat;

  bool operator==(const WriterRow&) const = default;
};
inline constexpr int32_t kNoLane = -1;

struct Member {
  std::string owner;
  MemberState state = MemberState::kNode;
  std::string node;
  std::string address;
  absl::Duration lease;
  std::vector<WriterRow> rows;  // by id
  bool tells_loads = false;     // its server weighs shards, and has told the loads of those that it had
  DatabasePart part = {};       // the database in which it is a member

  // Returns the writer that has the shard if this member has it.
  int64_t WriterOf(ShardId shard) const;
  bool Has(int64_t writer) const;
};

struct ClusterMap {
  // A shard's row changes its epoch whenever the shard changes hands.
  struct Place {
    int64_t writer = 0;  // 0: none
    int64_t epoch = 0;
    int64_t load = 0;  // turns a second, as an owner has last told it
  };

  std::map<std::string, Member> members;  // those that have an owner, by owner
  std::vector<int64_t> ownerless;         // writers whose owner is gone, and whose logs are written back
  std::array<Place, kShardCount> shards;
  DatabasePart part = {};  // the shards that are in the map; those of other databases have no place in it

  // Returns the member that has the shard; null if nobody has it, and any member may take it.
  const Member* OwnerOf(ShardId shard) const;
  const Member* Find(const std::string& owner) const;
  std::vector<ShardId> ShardsOf(const Member& member) const;
};

// The keys of loads in the family kNode (storage/FORMAT.md). The value of a shard's load is an int64, that of a mark is
// empty. The mark is of the member's writer for all else.
std::string ShardLoadKey(ShardId shard);
std::string TellsLoadsKey(int64_t writer);

// Adds the statements that read the map of a database to a trip; the map is made of the last three results.
void AddReadMap(Connection* connection);
ClusterMap TakeMap(absl::Span<const Rows> results, const DatabasePart& part);

// Finds the members that have been silent for their lease. A member is watched from the answer to the first look at it,
// for its lease and a little more, since two clocks do not run equally fast. While nobody looks, as when the database
// is not there, nobody can tell who is silent; so a look that comes late begins all watches anew.
//
// Threading: one thread.
class SilenceWatch {
 public:
  // A look is late that comes so long after the one before.
  explicit SilenceWatch(absl::Duration look_gap_max) : look_gap_max_(look_gap_max) {}

  // Takes a map that was asked for at `asked_at` and came at `answered_at`, by the clock of leases.
  void Look(const ClusterMap& map, absl::Duration asked_at, absl::Duration answered_at);
  // Begins all watches anew: nobody could write for a while.
  void Forget() { watched_.clear(); }
  // Returns whether the member was silent for its lease, in all looks until the last one.
  bool IsSilent(const Member& member) const;
  // Returns how long it takes until that is known.
  static absl::Duration SilenceOf(const Member& member);

 private:
  struct Watched {
    std::vector<WriterRow> rows;
    absl::Duration since;
  };

  const absl::Duration look_gap_max_;
  std::map<std::string, Watched> watched_;
  absl::Duration asked_at_ = -absl::InfiniteDuration();  // of the last look
  absl::Duration answered_at_ = -absl::InfiniteDuration();
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_CLUSTER_MAP_H_
