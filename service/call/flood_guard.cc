#include "service/call/flood_guard.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// The names of gRPC 1.51's threads, cut at 15 bytes as the system does.
constexpr absl::string_view kGrpcThreads[] = {"default-executo", "event_engine", "grpc_global_tim", "resolver-execut",
                                              "timer_manager"};
// The number of looks between two searches for gRPC's threads, which makes one search a second.
constexpr int kLooksPerSearch = 50;

// Returns the processor time of any thread of the process; 0 if it has ended.
absl::Duration CpuTimeOf(pid_t thread) {
  // Linux numbers the clock of a thread in this way. pthread_getcpuclockid does too, but needs the thread's pthread_t.
  constexpr clockid_t kPerThreadScheduled = 6;
  timespec time{};
  const clockid_t clock = static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | kPerThreadScheduled);
  return clock_gettime(clock, &time) == 0 ? absl::DurationFromTimespec(time) : absl::ZeroDuration();
}

}  // namespace

FloodGuard::FloodGuard(std::vector<const CompletionQueueExecutor*> executors, Connections* connections)
    : connections_(connections) {
  for (const CompletionQueueExecutor* executor : executors) executors_.push_back({executor});
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "flood guard");
}

FloodGuard::~FloodGuard() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.WakeOne();
  thread_.join();
}

std::vector<std::string> FloodGuard::Floods(const std::vector<Connections::Read>& before,
                                            const std::vector<Connections::Read>& after) {
  absl::flat_hash_map<std::string, uint64_t> bytes_before;
  for (const auto& [peer, bytes] : before) bytes_before[peer] = bytes;
  std::vector<Connections::Read> gained;
  uint64_t most = 0;
  for (const auto& [peer, bytes] : after) {
    const auto it = bytes_before.find(peer);
    // A connection that was not there before is new. Of a closed one 0 bytes were read.
    const uint64_t from = it == bytes_before.end() ? 0 : it->second;
    if (bytes <= from) continue;
    gained.push_back({peer, bytes - from});
    most = std::max(most, bytes - from);
  }
  std::vector<std::string> floods;
  for (auto& [peer, bytes] : gained) {
    if (bytes >= kFloodBytesMin && bytes >= most / 2) floods.push_back(std::move(peer));
  }
  return floods;
}

bool FloodGuard::Watched::IsStuck(absl::Duration cpu_time_now, bool rests) {
  const absl::Duration used = cpu_time_now - cpu_time;
  cpu_time = cpu_time_now;
  stuck = rests ? absl::ZeroDuration() : stuck + used;
  return stuck > kStuckMax;
}

FloodGuard::Stuck FloodGuard::FindStuck() {
  Stuck found = Stuck::kNobody;
  if (looks_++ % kLooksPerSearch == 0) FindGrpcThreads();
  for (auto& [id, thread] : grpc_threads_) {
    const absl::Duration cpu_time = CpuTimeOf(id);
    if (thread.IsStuck(cpu_time, cpu_time - thread.cpu_time < kLookEvery / 4)) found = Stuck::kGrpcThread;
  }
  for (auto& [executor, thread, rounds] : executors_) {
    const auto now = executor->progress();
    const bool rests = !now.in_grpc || now.rounds != std::exchange(rounds, now.rounds);
    if (thread.IsStuck(now.cpu_time, rests)) found = Stuck::kExecutor;
  }
  return found;
}

void FloodGuard::FindGrpcThreads() {
  absl::flat_hash_map<pid_t, Watched> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream file(entry.path() / "comm");
    std::string name;
    pid_t id;
    if (!std::getline(file, name) || !absl::SimpleAtoi(entry.path().filename().string(), &id)) continue;
    if (std::find(std::begin(kGrpcThreads), std::end(kGrpcThreads), name) == std::end(kGrpcThreads)) continue;
    const auto known = grpc_threads_.find(id);
    found[id] = known == grpc_threads_.end() ? Watched{.cpu_time = CpuTimeOf(id)} : known->second;
  }
  grpc_threads_ = std::move(found);
}

void FloodGuard::Run() {
  std::vector<Connections::Read> before;
  int looks = 0;  // that `before` is old
  MutexLock lock(&mutex_);
  while (!ending_) {
    const CondVar::Deadline look = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(kLookEvery);
    while (!ending_ && changed_.WaitUntil(&mutex_, look)) {
    }
    lock.Unlock();
    const Stuck stuck = FindStuck();
    if (stuck == Stuck::kNobody) {
      before.clear();
    } else {
      // A first look at a stuck thread has nothing to compare with: it only counts.
      std::vector<Connections::Read> after = connections_->AllRead();
      std::vector<std::string> floods;
      if (!before.empty()) floods = Floods(before, after);
      for (const std::string& peer : floods) {
        Log(LogLevel::kWarning, "connection_closed", {{"peer", peer}, {"what", "it sends without pause"}});
        connections_->EndFlood(peer);
      }
      // A thread of gRPC may be busy for long with what it sends.
      const bool goes_on = stuck == Stuck::kExecutor && floods.empty() && ++looks * kLookEvery < kWindowMax;
      if (before.empty() || !goes_on) {
        before = std::move(after);
        looks = 0;
      }
    }
    lock.Lock();
  }
}

}  // namespace holdfast::service
