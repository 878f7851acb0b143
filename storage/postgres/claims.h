// How a process becomes the owner of writers, and stays it.
//
// A process takes a writer that has no owner at once. One that has an owner it takes only after it has seen the same
// row for the whole lease of that owner, by its own clock: the owner writes to its row more often than that, and shows
// nothing to a client that it may have lost. A row that changes meanwhile belongs to a process that is alive.
//
// This is what one node needs, which owns all shards through all writers. A cluster of several nodes gives each node
// writers of its own, and takes over those of a dead node one by one; the statements are the same.

#ifndef HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_
#define HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/base/mutex.h"
#include "storage/postgres/writer.h"

namespace holdfast::storage::postgres {

struct Claimed {
  std::vector<WriterState> writers;
  absl::Duration at;  // BootTime when the claim was sent
};

// The number of the writer for what no executor commits: the node's own records, and the folds of a log.
inline constexpr int64_t kNodeWriter = 10'000;

// Takes the writers 0 to executors-1 and kNodeWriter, in this order, and fences all others that the database has.
// Blocks for as long as the lease of an owner that is gone without a word. Errors: FAILED_PRECONDITION if another
// process is alive; those of the connection.
absl::StatusOr<Claimed> ClaimWriters(const WriterOptions& options, int executors);

// Gives the writers back, so that the next process need not wait for their lease. Without a connection, or where
// another process has a writer by now, nothing happens.
void ReleaseWriters(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers);

// Writes to the rows of writers that have not committed for a while, three times in a lease.
class Heartbeat {
 public:
  // The writers outlive this. `on_lost`, which may be null, is called at most once, on a thread of this, when a writer
  // is lost or the database has lost commits; all writers have failed by then.
  Heartbeat(const WriterOptions& options, absl::Span<const std::unique_ptr<Writer>> writers,
            std::function<void(const absl::Status&)> on_lost);
  ~Heartbeat();

 private:
  void Work();
  // Returns why a writer is lost; OK too if the database can't be reached.
  absl::Status Beat();

  const WriterOptions options_;
  const absl::Span<const std::unique_ptr<Writer>> writers_;
  const std::function<void(const absl::Status&)> on_lost_;
  std::unique_ptr<Connection> connection_;  // of the thread; null: to be opened

  Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_CLAIMS_H_
