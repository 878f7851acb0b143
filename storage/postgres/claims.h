// How a process becomes a member of a cluster, stays it, and takes over another one.
//
// Each process that starts has writers of its own, whose numbers nobody had before. It keeps them by writing to their
// rows more often than its lease, and shows nothing to a client that it may have lost.
//
// The writers of a member that is silent are taken over all at once. Whoever has them writes their logs back, and then
// gives their shards away.

#ifndef HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_
#define HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/writer.h"

namespace holdfast::storage::postgres {

// The writers of a member, as the process has them that has made or claimed them.
struct Claimed {
  std::vector<WriterState> executors;  // by lane
  WriterState own;                     // for all that no executor commits
  absl::Duration at;                   // BootTime when the claim was sent
};

// Blocks for as long as the lease of a member that is gone without a word and is in the way of one with this state: all
// others for a server that is alone, and one of the same name for a node. `watch` has seen them meanwhile. Errors:
// FAILED_PRECONDITION if one of them is alive; those of the connection.
absl::Status AwaitSilence(const WriterOptions& options, MemberState state, SilenceWatch* watch);

// Makes the writers of a new member with this state, after AwaitSilence. Other nodes may give it shards from then on.
absl::StatusOr<Claimed> Join(const WriterOptions& options, int executors, MemberState state, SilenceWatch* watch);

// Takes over the writers of `dead`, as `dead` has them. Their member is then that of `options`, in recovery. Errors:
// ABORTED if one of its rows has changed; those of the connection.
absl::StatusOr<Claimed> TakeOver(const WriterOptions& options, const Member& dead);

// Writes to the rows of writers that have not committed for a while, three times in a lease.
class Heartbeat {
 public:
  // The writers outlive this. `on_lost`, which may be null, is called at most once, on a thread of this, when a writer
  // is lost or the database has lost commits; all writers have failed by then.
  Heartbeat(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers,
            std::function<void(const absl::Status&)> on_lost);

 private:
  // Returns whether to go on.
  bool Work();
  // Returns why a writer is lost; OK too if the database can't be reached.
  absl::Status Beat();
  // Returns why writers are lost, of which a server has said so that may have been replaced.
  absl::Status WhyLost(ArrayParam ids, size_t count);

  const WriterOptions options_;
  const absl::Span<const std::unique_ptr<Writer>> writers_;
  const std::function<void(const absl::Status&)> on_lost_;
  std::unique_ptr<Connection> connection_;  // null: to be opened
  size_t first_host_ = 0;                   // of the conninfo, for the next connection
  std::unique_ptr<Repeated> repeated_;      // ends before all else of this
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_
