// Receives the events of the runtime and the stores, to count them. Every method does nothing unless it is overridden,
// so the runtime and the stores know no library for metrics; a null observer costs them one comparison.
//
// Threading: any thread may call any method, several at once. A method must return at once and must not call back.
// Ownership: the observer outlives its callers. Texts are valid during the call only.

#ifndef HOLDFAST_STORAGE_BASE_OBSERVER_H_
#define HOLDFAST_STORAGE_BASE_OBSERVER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::storage {

class Observer {
 public:
  virtual ~Observer() = default;

  // --- Calls. A method has a number, its place among the methods of the server.
  // The call gate has refused a call; `why` has the reason.
  virtual void CallRefused(absl::string_view /*method*/, const absl::Status& /*why*/) {}
  // A call has its outcome, `time` after it arrived; its reply may still be on its way. The client of a stream decides
  // how long that lives.
  struct CallStats {
    size_t method;
    bool stream;
    absl::StatusCode code;
    absl::Duration time;
  };
  virtual void CallEnded(const CallStats& /*stats*/) {}
  // A call has received or sent messages of so many bytes.
  virtual void CallBytes(size_t /*method*/, size_t /*received*/, size_t /*sent*/) {}

  // --- Objects, on the executor of the object. A request was put into a mailbox, in which `mailbox_depth` deliveries
  // wait now.
  virtual void RequestQueued(absl::string_view /*object_class*/, size_t /*mailbox_depth*/) {}
  // A request was refused before it began: the mailbox is full, its deadline has passed, or too much waits for the
  // disk.
  virtual void RequestRefused(absl::string_view /*object_class*/, const absl::Status& /*why*/) {}
  // The turn of a request begins.
  virtual void RequestBegun(absl::string_view /*object_class*/) {}
  // The turn has ended after `time`; its reply may still wait for the disk.
  virtual void RequestEnded(absl::string_view /*object_class*/, const absl::Status& /*outcome*/,
                            absl::Duration /*time*/) {}
  // An object's instance was loaded, which took `time`; its load has failed; or it was discarded.
  virtual void Activated(absl::string_view /*object_class*/, absl::Duration /*time*/) {}
  virtual void LoadFailed(absl::string_view /*object_class*/) {}
  virtual void Passivated(absl::string_view /*object_class*/) {}
  // A move has ended: the object is in a family of its own, or packed. If not `done`, it is where it was.
  virtual void Moved(bool /*packed*/, bool /*done*/) {}
  // A transaction of SQL has ended. It ran on the executor, or on a worker after it had `waited` for a turn. On the
  // thread of the transaction.
  struct SqlStats {
    bool on_worker;
    absl::Duration waited;
    absl::Duration time;  // from its first turn to its end
  };
  virtual void SqlEnded(const SqlStats& /*stats*/) {}

  // --- Alarms, on the executor of the object. An alarm's turn begins, `late` after the alarm was due.
  virtual void AlarmBegun(absl::string_view /*object_class*/, absl::Duration /*late*/) {}
  // Attempt number `attempt` of this alarm has failed; the alarm is set again, or dropped after the last attempt.
  virtual void AlarmFailed(absl::string_view /*object_class*/, int /*attempt*/, bool /*dropped*/) {}

  // --- Commits and the store.
  struct CommitStats {
    size_t bytes;
    size_t keyspaces;
    absl::Duration time;
    bool ok;
  };
  // The store has ended the commit of a batch; if `ok`, the batch is written and synced. On the executor.
  virtual void CommitEnded(const CommitStats& /*stats*/) {}
  // A batch of so many bytes was written to the log of an executor and synced. On the thread that commits.
  struct LogStats {
    size_t bytes;
    absl::Duration time;
    bool ok;
  };
  virtual void LogAppended(const LogStats& /*stats*/) {}
  // The commits of a while were written to the store below the log: so many bytes of so many keyspaces. On the thread
  // that folds.
  virtual void FoldEnded(const CommitStats& /*stats*/) {}
  // The store begins to hold back writes to a family until its background work has caught up, or stops holding them
  // back.
  virtual void StoreStalled(absl::string_view /*family*/, bool /*stalled*/) {}
  // The store has written a table: of writes in memory (a flush), or of other tables (a compaction). On its threads.
  struct TableStats {
    bool compaction;
    uint64_t bytes_read;
    uint64_t bytes_written;
    absl::Duration time;  // of a compaction
    bool ok;
  };
  virtual void TableWritten(const TableStats& /*stats*/) {}
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_OBSERVER_H_
