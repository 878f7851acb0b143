// Ends connections that keep a thread inside gRPC.
//
// gRPC 1.51 reads a connection for as long as there is something to read, on the thread that waits for events (an
// executor) or on one of its own. A client that sends without pause, be it frames of no use or calls that it resets at
// once, keeps it there: nobody else is served, memory grows with each call, and after 2 GiB an assertion of gRPC ends
// the process. So a thread looks at the others. Where one has used its processor inside gRPC for longer than kStuckMax,
// the connections that sent the most meanwhile are closed.
//
// A client that gRPC's flow control holds back is never such a one: its connection is empty between its messages.

#ifndef HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_
#define HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_

#include <sys/types.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "service/call/connections.h"
#include "service/completion_queue_executor.h"

namespace holdfast::service {

class FloodGuard {
 public:
  static constexpr absl::Duration kLookEvery = absl::Milliseconds(20);
  static constexpr absl::Duration kStuckMax = absl::Milliseconds(100);
  // Who sent less between two looks is let be.
  static constexpr uint64_t kFloodBytesMin = 64 << 10;

  // Both outlive the guard.
  FloodGuard(std::vector<const CompletionQueueExecutor*> executors, Connections* connections);
  FloodGuard(const FloodGuard&) = delete;
  FloodGuard& operator=(const FloodGuard&) = delete;
  ~FloodGuard();

  // The connections that received at least half of what the one that received most did, between two looks.
  static std::vector<std::string> Floods(const std::vector<Connections::Received>& before,
                                         const std::vector<Connections::Received>& after);

 private:
  // A thread: how much processor time it had used at the last look, and how much of it since it was last seen to rest.
  struct Watched {
    absl::Duration cpu_time = {};
    absl::Duration stuck = {};
    bool IsStuck(absl::Duration cpu_time_now, bool rests);
  };
  struct WatchedExecutor {
    const CompletionQueueExecutor* executor;
    Watched thread = {};
    uint64_t rounds = 0;
  };

  void Run();
  // Whether a thread has been inside gRPC, and busy, for too long.
  bool SomeoneIsStuck();
  // gRPC starts threads of its own as it likes.
  void FindGrpcThreads();

  Connections* const connections_;
  std::vector<WatchedExecutor> executors_;
  absl::flat_hash_map<pid_t, Watched> grpc_threads_;
  int looks_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_FLOOD_GUARD_H_
