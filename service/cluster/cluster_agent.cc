#include "service/cluster/cluster_agent.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// Between two looks that requests have asked for.
constexpr absl::Duration kLookIntervalMin = absl::Milliseconds(10);
// Between two looks whether a node that waits for its executors is to end after all.
constexpr absl::Duration kReleaseStep = absl::Milliseconds(100);
constexpr absl::Duration kWaitMax = absl::Hours(24 * 365);

CondVar::Deadline SteadyDeadline(absl::Time until) {
  // A time without end would overflow.
  const absl::Duration left = std::min(until - actors::SteadyNow(), kWaitMax);
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(left);
}

}  // namespace

ClusterAgent::ClusterAgent(AgentServices services, AgentOptions options)
    : services_(std::move(services)),
      look_interval_(options.look_interval),
      steps_(ServicesOfSteps(), std::move(options)) {}

ClusterAgent::~ClusterAgent() { Stop(); }

StepServices ClusterAgent::ServicesOfSteps() {
  return {.rows = services_.rows,
          .router = services_.router,
          .run_clocks = services_.run_clocks,
          .on_gain = services_.on_gain,
          .on_lose = services_.on_lose,
          .fold = [this] { return services_.store->Fold(); },
          .wait = [this](ShardCountdown* countdown) { return WaitForHosts(countdown); },
          .ending = [this] { return ending(); },
          .on_map =
              [this](const ClusterMap& map, const std::function<bool(const Member&)>& is_silent) {
                if (services_.placement == nullptr) return;
                services_.placement->Update(map, services_.rows->membership().owner(), is_silent);
              },
          .on_nodes = services_.on_nodes};
}

void ClusterAgent::Begin() {
  services_.rows->ReadOwnShards();
  thread_ = std::thread([this] { Work(); });
}

absl::Status ClusterAgent::WaitUntilReady(absl::Time until) {
  const auto steady_until = SteadyDeadline(until);
  MutexLock lock(&mutex_);
  while (!ready_ && failure_.ok() && changed_.WaitUntil(&mutex_, steady_until)) {
  }
  return failure_;
}

void ClusterAgent::LookSoon() {
  MutexLock lock(&mutex_);
  look_now_ = true;
  changed_.WakeAll();
}

void ClusterAgent::BeginToLeave() {
  MutexLock lock(&mutex_);
  leaving_ = true;
  changed_.WakeAll();
}

void ClusterAgent::WaitUntilLeft(absl::Time until) {
  const auto steady_until = SteadyDeadline(until);
  MutexLock lock(&mutex_);
  while (!left_ && failure_.ok() && changed_.WaitUntil(&mutex_, steady_until)) {
  }
}

void ClusterAgent::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.WakeAll();
  }
  thread_.join();
}

ClusterLoad ClusterAgent::load() const {
  ClusterLoad load = steps_.load();
  if (services_.placement != nullptr) load.forwarded = services_.placement->forwarded();
  return load;
}

bool ClusterAgent::ending() {
  MutexLock lock(&mutex_);
  return ending_ || !failure_.ok();
}

bool ClusterAgent::leaving() {
  MutexLock lock(&mutex_);
  return leaving_;
}

bool ClusterAgent::WaitForHosts(ShardCountdown* countdown) {
  while (!countdown->WaitFor(kReleaseStep)) {
    if (ending()) return false;
  }
  return true;
}

void ClusterAgent::Work() {
  pthread_setname_np(pthread_self(), "cluster");
  while (true) {
    const absl::StatusOr<ClusterSteps::Result> result = steps_.Step(leaving());
    const auto now = std::chrono::steady_clock::now();
    const auto next = now + absl::ToChronoNanoseconds(look_interval_);
    const auto soonest = now + absl::ToChronoNanoseconds(std::min(kLookIntervalMin, look_interval_));
    MutexLock lock(&mutex_);
    if (!result.ok() && !absl::IsUnavailable(result.status())) {
      Log(LogLevel::kError, "cluster_agent_ended", {{"status", result.status().ToString()}});
      failure_ = result.status();
      changed_.WakeAll();
      lock.Unlock();
      services_.on_failure(result.status());
      return;
    }
    if (result.ok() && (result->ready || result->left)) {
      ready_ = ready_ || result->ready;
      left_ = left_ || result->left;
      changed_.WakeAll();
    }
    if (!result.ok() || !result->more) {
      // Many requests that miss their shards ask for one look.
      while (!ending_ && changed_.WaitUntil(&mutex_, soonest)) {
      }
      while (!ending_ && !look_now_ && changed_.WaitUntil(&mutex_, next)) {
      }
    }
    look_now_ = false;
    if (ending_) return;
  }
}

}  // namespace holdfast::service
