// Work that may block (reads from disk, commits, families) runs away from the executor and comes back to it.

#ifndef HOLDFAST_STORAGE_BASE_BACKGROUND_H_
#define HOLDFAST_STORAGE_BASE_BACKGROUND_H_

#include "absl/functional/any_invocable.h"

namespace holdfast::storage {

// Belongs to one executor.
class Background {
 public:
  virtual ~Background() = default;
  // Runs `work` on another thread, then `done` on the executor. Called on the executor. Pieces of work may overtake
  // each other unless there is one thread. The callers bound how many can wait: each has at most one piece under way.
  virtual void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) = 0;
  // Runs `done` on the executor: the end of work that runs on no thread of this. Any thread may call it.
  virtual void Post(absl::AnyInvocable<void()> done) = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BASE_BACKGROUND_H_
