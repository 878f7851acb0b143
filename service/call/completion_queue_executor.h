// An executor that polls a gRPC completion queue. The thread that takes a request off the wire also runs the object, if
// it runs the object's shard; then nothing is handed over.
//
// A round handles the events that are there, up to a bound, then the inbox and the timers, sends the replies, and ends
// with the beginning of a commit. With nothing to do the thread sleeps in the queue. A Post wakes it by an alarm that
// is due already, which takes microseconds; an alarm that is set to "now" would take a millisecond.

#ifndef HOLDFAST_SERVICE_CALL_COMPLETION_QUEUE_EXECUTOR_H_
#define HOLDFAST_SERVICE_CALL_COMPLETION_QUEUE_EXECUTOR_H_

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/time/time.h"
#include "actors/executor/executor.h"
#include "service/call/outbox.h"

namespace holdfast::service {

// The end of an operation, which the completion queue reports. `ok` has the meaning that gRPC gives it.
class Event {
 public:
  virtual void OnEvent(bool ok) = 0;

  // Returns the tag for an operation that ends with this event.
  void* Tag();

 protected:
  ~Event() = default;
};

class CompletionQueueExecutor : public actors::Executor {
 public:
  CompletionQueueExecutor(const actors::Clock* clock, std::unique_ptr<grpc::ServerCompletionQueue> queue);
  // Destroy it after Join, or if it was never started.
  ~CompletionQueueExecutor() override;

  // Returns the executor whose thread this is; null on other threads.
  static CompletionQueueExecutor* Current();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  bool IsCurrent() const override { return Current() == this; }
  // The replies of this round. The executor's thread only.
  Outbox& outbox() { return outbox_; }

  absl::Duration behind() const override {
    return caught_up_ ? absl::ZeroDuration() : clock().Steady() - caught_up_at_;
  }

  // The progress of the thread, for the flood guard (call/flood_guard.h). Any thread.
  struct Progress {
    uint64_t rounds = 0;           // the number of times that gRPC has returned from waiting for events
    bool in_grpc = false;          // the thread is inside gRPC now
    absl::Duration cpu_time = {};  // processor time of the thread
  };
  Progress progress() const;

  void Start();
  // The end has two steps. gRPC ends the process when an operation, such as the Finish of a call, is begun on a queue
  // that was shut down, and a turn may end on any executor while its call belongs to the queue of another. Therefore
  // Stop all executors before the first Join.
  //
  // Ends the thread after its round. Later posts are not run; the queue goes on.
  void Stop();
  // Stops the thread if it runs, handles the events that are left in the queue on the calling thread, and shuts the
  // queue down. The gRPC server must have been shut down. Later events are dropped: calls whose turns never ended.
  void Join();

 protected:
  void Wake() override;

 private:
  void Run();
  // Waits for an event until `until`; gRPC reads from its connections meanwhile.
  grpc::CompletionQueue::NextStatus Next(void** tag, bool* ok, gpr_timespec until);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;
  Outbox outbox_;        // used on the thread only
  bool ending_ = false;  // used on the thread only
  // Used on the thread only: whether this round has handled all events that there were, and when a round last had.
  bool caught_up_ = true;
  absl::Time caught_up_at_ = absl::InfinitePast();
  bool closed_ = false;  // the queue was shut down
  std::atomic<uint64_t> rounds_ = 0;
  std::atomic<bool> in_grpc_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_COMPLETION_QUEUE_EXECUTOR_H_
