// What the runtime and the stores tell to somebody who counts. Every method does nothing unless it is overridden, so
// neither of them knows a library for metrics; a null observer costs them one comparison.
//
// Threading: any thread may call any method, several at once. A method must return at once and must not call back.
// Ownership: outlives those who tell it. Texts are valid during the call only.

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

  // --- Objects, on the executor of the object.
  // A request was put into a mailbox, in which so many deliveries wait now.
  virtual void RequestQueued(absl::string_view /*object_class*/, size_t /*mailbox_depth*/) {}
  // A request was refused before it began: the mailbox is full, its deadline has passed, too much waits for the disk.
  virtual void RequestRefused(absl::string_view /*object_class*/, const absl::Status& /*why*/) {}
  // The turn of a request begins.
  virtual void RequestBegun(absl::string_view /*object_class*/) {}
  // The turn has ended, after that time; its reply may still wait for the disk.
  virtual void RequestEnded(absl::string_view /*object_class*/, const absl::Status& /*outcome*/,
                            absl::Duration /*time*/) {}
  // The object has been loaded, and its instance was discarded.
  virtual void Activated(absl::string_view /*object_class*/) {}
  virtual void Passivated(absl::string_view /*object_class*/) {}

  // --- Alarms, on the executor of the object.
  // An alarm's turn begins, that long after the alarm was due.
  virtual void AlarmBegun(absl::string_view /*object_class*/, absl::Duration /*late*/) {}
  // An attempt has failed, the so manieth of this alarm; the alarm is set again, or dropped after the last.
  virtual void AlarmFailed(absl::string_view /*object_class*/, int /*attempt*/, bool /*dropped*/) {}

  // --- Commits and the store.
  struct CommitStats {
    size_t bytes;
    size_t keyspaces;
    absl::Duration time;
    bool ok;
  };
  // A batch of the commit pipeline has come back from the store, which has written and synced it. On the executor.
  virtual void CommitEnded(const CommitStats& /*stats*/) {}
  // For a family the store holds writes back until its work in the background has caught up, or does so no longer.
  virtual void StoreStalled(absl::string_view /*family*/, bool /*stalled*/) {}
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_OBSERVER_H_
