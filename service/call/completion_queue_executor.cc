#include "service/call/completion_queue_executor.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "service/call/tag_order.h"

namespace holdfast::service {
namespace {

// The most events in one round, so that timers, and a commit that has ended, do not wait for a flood to end.
constexpr int kRoundEventsMax = 512;
// gRPC reads one connection when it is asked for an event and has none, and then may still have none. A round that had
// this many events asks again, up to kPollAgainMax times: otherwise each round would serve all requests of one
// connection before it reads the next, and a client with a few requests would wait for all those of the others.
constexpr int kPollAgainMin = 32;
constexpr int kPollAgainMax = 32;
// The thread sleeps no longer than this, even if its timers are later: a test may move its injected clock meanwhile.
constexpr absl::Duration kSleepMax = absl::Seconds(1);

// The queue of a stopped executor is shut down once it has had no event for this long.
constexpr absl::Duration kQuiet = absl::Milliseconds(20);

class WakeUp final : public Event {
 public:
  explicit WakeUp(grpc::CompletionQueue* queue) { alarm_.Set(queue, gpr_inf_past(GPR_CLOCK_MONOTONIC), Tag()); }
  void OnEvent(bool) override { delete this; }

 private:
  grpc::Alarm alarm_;
};

thread_local CompletionQueueExecutor* current_executor = nullptr;

void Handle(void* tag, bool ok) {
  TakeTag(tag);
  static_cast<Event*>(tag)->OnEvent(ok);
}

}  // namespace

void* Event::Tag() { return GiveTag(this); }

CompletionQueueExecutor::CompletionQueueExecutor(const actors::Clock* clock,
                                                 std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : Executor(clock), queue_(std::move(queue)) {}

CompletionQueueExecutor::~CompletionQueueExecutor() = default;

CompletionQueueExecutor* CompletionQueueExecutor::Current() { return current_executor; }

void CompletionQueueExecutor::Start() {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "executor");
}

void CompletionQueueExecutor::Stop() {
  if (!thread_.joinable()) return;
  // The thread sets this itself, so it ends awake and no later Post wakes it by an alarm on a queue that was shut down.
  Post([this] { ending_ = true; });
  thread_.join();
}

void CompletionQueueExecutor::Join() {
  Stop();
  if (std::exchange(closed_, true)) return;
  void* tag;
  bool ok;
  // The queue is still open, so these events may begin operations. Operations of calls that were cancelled end within
  // kQuiet.
  const auto quiet = [] { return grpc::TimePoint(absl::ToChronoTime(absl::Now() + kQuiet)).raw_time(); };
  while (queue_->AsyncNext(&tag, &ok, quiet()) == grpc::CompletionQueue::GOT_EVENT) Handle(tag, ok);
  queue_->Shutdown();
  while (queue_->Next(&tag, &ok)) {
  }
}

void CompletionQueueExecutor::Wake() { new WakeUp(queue_.get()); }

CompletionQueueExecutor::Progress CompletionQueueExecutor::progress() const {
  Progress progress{.rounds = rounds_.load(std::memory_order_relaxed),
                    .in_grpc = in_grpc_.load(std::memory_order_relaxed)};
  clockid_t clock;
  timespec cpu_time;
  if (pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock) == 0 &&
      clock_gettime(clock, &cpu_time) == 0) {
    progress.cpu_time = absl::DurationFromTimespec(cpu_time);
  }
  return progress;
}

grpc::CompletionQueue::NextStatus CompletionQueueExecutor::Next(void** tag, bool* ok, gpr_timespec until) {
  in_grpc_.store(true, std::memory_order_relaxed);
  const auto next = queue_->AsyncNext(tag, ok, until);
  in_grpc_.store(false, std::memory_order_relaxed);
  rounds_.store(rounds_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return next;
}

void CompletionQueueExecutor::Run() {
  current_executor = this;
  void* tag;
  bool ok;
  while (true) {
    bool busy = false;
    caught_up_ = false;
    for (int events = 0, empty = 0; events < kRoundEventsMax;) {
      if (Next(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT) {
        Handle(tag, ok);
        busy = true;
        ++events;
      } else if (events < kPollAgainMin || ++empty == kPollAgainMax) {
        caught_up_ = true;
        caught_up_at_ = clock().Steady();
        break;
      }
    }
    busy |= RunInbox();
    busy |= RunTimers();
    outbox_.Flush();
    RoundDone();
    // A lonely commit is over now.
    outbox_.Flush();
    if (ending_) return;
    if (busy || !FallAsleep()) continue;
    // The queue goes by the system's monotonic clock, the timers by the executor's.
    const absl::Duration rest = std::clamp(NextTimer() - clock().Steady(), absl::ZeroDuration(), kSleepMax);
    const auto next = Next(
        &tag, &ok,
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(absl::ToInt64Nanoseconds(rest), GPR_TIMESPAN)));
    AwakeAgain();
    if (next == grpc::CompletionQueue::GOT_EVENT) Handle(tag, ok);
  }
}

}  // namespace holdfast::service
