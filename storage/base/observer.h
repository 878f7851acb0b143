// Receives the events of the runtime and the stores, to count them. Every method does nothing unless it is overridden,
// so the runtime and the stores know no library for metrics; a null observer costs them one comparison.
//
// Threading: any thread may call any method, several at once. A method must return at once and must not call back.
// Ownership: the observer outlives its callers. Texts are valid during the call only.

#ifndef HOLDFAST_STORAGE_BASE_OBSERVER_H_
#define HOLDFAST_STORAGE_BASE_OBSERVER_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::storage {

class Observer {
 public:
  virtual ~Observer() = default;

  // --- Calls.
  // The call gate has refused a call; `why` has the reason.
  virtual void CallRefused(absl::string_view /*method*/, const absl::Status& /*why*/) {}

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
  // An object's instance was loaded, or discarded.
  virtual void Activated(absl::string_view /*object_class*/) {}
  virtual void Passivated(absl::string_view /*object_class*/) {}

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
  // The commits of a while were written to the store below the log: so many bytes of so many keyspaces. On the thread
  // that folds.
  virtual void FoldEnded(const CommitStats& /*stats*/) {}
  // The store begins to hold back writes to a family until its background work has caught up, or stops holding them
  // back.
  virtual void StoreStalled(absl::string_view /*family*/, bool /*stalled*/) {}
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_OBSERVER_H_
