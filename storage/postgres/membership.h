// This process as a member of its cluster: what it sees of the others, and the moves of shards, which are commits of
// the member's own writer.
//
// Errors: UNAVAILABLE from Look() if the database can't be reached, or the server that was asked does not know what
// this member has committed, since it was replaced. All that commits fails as Writer::Commit does, with ABORTED in
// place of UNAVAILABLE: a writer that has given up commits no more, so the member can't go on. NotOwner() stays; the
// store tells of it, too.
//
// Threading: one thread. Blocking.

#ifndef HOLDFAST_STORAGE_POSTGRES_MEMBERSHIP_H_
#define HOLDFAST_STORAGE_POSTGRES_MEMBERSHIP_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/writer.h"

namespace holdfast::storage::postgres {

class Membership {
 public:
  // The writers are those of the member; `own` is the one that commits the moves. They outlive this.
  Membership(const WriterOptions& options, std::vector<const Writer*> writers, Writer* own)
      : options_(options), writers_(std::move(writers)), own_(own) {}

  const std::string& owner() const { return options_.owner; }

  absl::StatusOr<ClusterMap> Look();
  // Does the same in one transaction with a write. A server that was replaced, and can't commit, may show moves that
  // were never made: not in this map.
  absl::StatusOr<ClusterMap> LookForSure();

  // Returns the writers of executors that may still commit, or whose logs nobody has written back.
  absl::StatusOr<std::vector<int64_t>> Unfinished();

  // Shards whose rows have this epoch go to this writer.
  struct Move {
    ShardId shard;
    int64_t epoch;
    int64_t to;
  };
  // Moves shards that are this member's, or nobody's. On OK look at the map for those that have moved: the others had
  // another owner, or had moved meanwhile.
  absl::Status MoveShards(absl::Span<const Move> moves);
  absl::Status SetState(MemberState state);
  // Tells the loads of some shards of this member, in turns a second, and that it tells loads.
  struct Load {
    ShardId shard;
    int64_t load;
  };
  absl::Status TellLoads(absl::Span<const Load> loads);
  // Removes rows of writers that have no owner and no shards.
  absl::Status RemoveWriters(absl::Span<const int64_t> ids);
  // Ends the membership once the logs are written back: their rest goes, the shards are nobody's, and the writers have
  // no owner. Errors: FAILED_PRECONDITION if a batch is not written back.
  absl::Status Leave();

 private:
  absl::StatusOr<TripResult> Ask(absl::FunctionRef<void(Connection*)> add);
  // `add` adds what reads the map, last.
  absl::StatusOr<ClusterMap> LookBy(absl::FunctionRef<void(Connection*)> add);
  absl::Status Commit(absl::FunctionRef<void(Connection*)> add);

  const WriterOptions options_;
  const std::vector<const Writer*> writers_;
  Writer* const own_;
  std::unique_ptr<Connection> connection_;  // null: to be opened
  size_t first_host_ = 0;                   // of the conninfo, for the next connection
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_MEMBERSHIP_H_
