// Ends connections that keep a thread inside gRPC.
//
// gRPC 1.51 reads a connection for as long as there is something to read, on the thread that waits for events (an
// executor) or on one of its own. A client that sends without pause, be it frames of no use or calls that it resets at
// once, keeps the thread there: nobody else is served, memory grows with each call, and after 2 GiB an assertion of
// gRPC ends the process. Therefore the guard's thread looks at those threads every kLookEvery. If one of them has used
// more than kStuckMax of processor time inside gRPC without a rest, the connections of which the most was read
// meanwhile are closed. Many connections may send a little each: while an executor stays stuck, their bytes add up, for
// at most kWindowMax.
//
// A client that gRPC's flow control holds back is never closed: its connection is empty between its messages.

#ifndef HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_
#define HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_

#include <sys/types.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/connections.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class FloodGuard {
 public:
  static constexpr absl::Duration kLookEvery = absl::Milliseconds(20);
  static constexpr absl::Duration kStuckMax = absl::Milliseconds(100);
  static constexpr absl::Duration kWindowMax = absl::Seconds(2);
  // A connection of which fewer bytes were read between the looks that are compared is not closed.
  static constexpr uint64_t kFloodBytesMin = 64 << 10;

  // Both outlive the guard.
  FloodGuard(std::vector<const CompletionQueueExecutor*> executors, Connections* connections);
  FloodGuard(const FloodGuard&) = delete;
  FloodGuard& operator=(const FloodGuard&) = delete;
  ~FloodGuard();

  // Returns the connections of which at least kFloodBytesMin were read between two looks, and at least half as many
  // bytes as of the one of which the most were.
  static std::vector<std::string> Floods(const std::vector<Connections::Read>& before,
                                         const std::vector<Connections::Read>& after);

 private:
  struct Watched {
    absl::Duration cpu_time = {};  // the thread's processor time at the last look
    absl::Duration stuck = {};     // the processor time since the thread was last seen to rest
    // Records a look. Returns whether the thread has been busy for longer than kStuckMax.
    bool IsStuck(absl::Duration cpu_time_now, bool rests);
  };
  struct WatchedExecutor {
    const CompletionQueueExecutor* executor;
    Watched thread = {};
    uint64_t rounds = 0;
  };

  void Run();
  enum class Stuck { kNobody, kGrpcThread, kExecutor };
  // Looks at all threads for one that has been inside gRPC, and busy, for too long. An executor is told before others.
  Stuck FindStuck();
  // Finds gRPC's own threads, which it starts and ends at any time.
  void FindGrpcThreads();

  Connections* const connections_;
  std::vector<WatchedExecutor> executors_;
  absl::flat_hash_map<pid_t, Watched> grpc_threads_;
  int looks_ = 0;

  Mutex mutex_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_
