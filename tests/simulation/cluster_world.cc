#include "tests/simulation/cluster_world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::simulation {
namespace {

constexpr absl::Duration kLease = absl::Seconds(1);
constexpr absl::Duration kRunTime = absl::Seconds(8);
// All is well again after this time, once nothing goes wrong any more.
constexpr absl::Duration kHealedAfter = absl::Seconds(60);
constexpr const char* kNames[] = {"a", "b", "c"};

}  // namespace

void ClusterEvents::Add(const ClusterEvents& other) {
  requests += other.requests;
  repeated += other.repeated;
  unknown += other.unknown;
  refused += other.refused;
  forwarded += other.forwarded;
  rerouted += other.rerouted;
  kills += other.kills;
  failures += other.failures;
  pauses += other.pauses;
  drains += other.drains;
  cuts += other.cuts;
  hangs += other.hangs;
  restarts += other.restarts;
  fail_overs += other.fail_overs;
  recoveries += other.recoveries;
  given += other.given;
  trips += other.trips;
  faults += other.faults;
  states += other.states;
}

std::string ClusterEvents::DebugString() const {
  return absl::StrCat(requests, " requests (", repeated, " repeated, ", unknown, " with an unknown outcome, ", refused,
                      " refused, ", forwarded, " sent on, ", rerouted, " routed again), ", kills, " kills, ", failures,
                      " processes that ended themselves, ", pauses, " pauses, ", drains, " drains, ", cuts, " cuts, ",
                      hangs, " hangs, ", restarts, " restarts of the database, ", fail_overs, " fail-overs, ",
                      recoveries, " take-overs, ", given, " shards given, ", trips, " trips (", faults,
                      " with a fault); ", states, " states searched");
}

ClusterWorld::ClusterWorld(uint64_t seed, ClusterBroken broken)
    : seed_(seed), broken_(broken), dice_(seed), network_(&dice_, &fibers_, &agenda_, broken) {
  Draw();
}

ClusterWorld::~ClusterWorld() {
  agenda_.Clear();
  for (const auto& process : nodes_) {
    if (process != nullptr) Kill(process.get());
  }
  while (std::any_of(nodes_.begin(), nodes_.end(), [](const auto& process) { return process != nullptr; })) {
    RunNow();
    Bury();
    fibers_.set_now(fibers_.now() + absl::Milliseconds(1));
  }
}

void ClusterWorld::Draw() {
  clients_max_ = 2 + dice_.Below(6);
  mostly_reads_ = dice_.OneIn(2);
  network_faults_ = dice_.OneIn(4) ? 0 : dice_.OneIn(2) ? 100 : 25;
  const auto add = [&](absl::string_view name, Kind kind) {
    objects_.push_back({std::string(name), kind, storage::ObjectKey("default", kind.object_class->name, name)});
  };
  add("counter", CounterKind());
  add("plain", PlainKind());
  if (dice_.OneIn(2)) add("other counter", CounterKind());
  if (dice_.OneIn(2)) add("ledger", LedgerKind(/*interleaving=*/false));
  services_ = {
      .dice = &dice_,
      .fibers = &fibers_,
      .network = &network_,
      .broken = broken_,
      .classes = {},
      .host_options = {},
      .lease = kLease,
      .look_interval = absl::Milliseconds(dice_.Between(100, 250)),
      .fold_interval = absl::Milliseconds(dice_.Between(100, 1500)),
      .moves_max = static_cast<size_t>(dice_.OneIn(2) ? 128 : 48),
      .load_interval = dice_.OneIn(2) ? absl::InfiniteDuration() : absl::Milliseconds(dice_.Between(100, 1000)),
      .executors = 1 + static_cast<int>(dice_.Below(2))};
  services_.host_options.idle_timeout = absl::Milliseconds(dice_.OneIn(2) ? 10'000 : dice_.Between(1, 200));
  services_.host_options.records.age = absl::Hours(24);
  services_.host_options.alarms.wall_step = absl::InfiniteDuration();
  for (const Tested& object : objects_) services_.classes.push_back(object.kind.object_class);
}

std::vector<std::string> ClusterWorld::Run() {
  const absl::Time begin = fibers_.now();
  network_.set_faults(network_faults_);
  for (size_t slot = 0; slot < kNodes; ++slot) {
    agenda_.At(begin + absl::Milliseconds(dice_.Between(0, 100)), [this, slot] { StartNode(slot); });
  }
  Schedule();
  RunUntil(begin + kRunTime);
  if (findings_.empty()) Heal();
  if (findings_.empty()) End();
  if (findings_.empty()) JudgeAll();
  events_.trips = network_.trips();
  events_.faults = network_.faults();
  return findings_;
}

void ClusterWorld::Schedule() {
  if (healing_) return;
  if (dice_.OneIn(20)) {
    Incident();
  } else if (dice_.OneIn(5)) {
    SendAgain();
  } else {
    SendNew();
  }
  agenda_.At(fibers_.now() + absl::Milliseconds(dice_.Between(5, 60)), [this] { Schedule(); });
}

absl::Duration ClusterWorld::Latency() {
  return absl::Microseconds(dice_.Between(50, dice_.OneIn(10) ? 20'000 : 1500));
}

// --- Time

bool ClusterWorld::RunNow() {
  for (int steps = 0; steps < kStepsMax; ++steps) {
    std::vector<Fiber*> ready;
    for (const auto& process : nodes_) {
      if (process == nullptr || process->paused()) continue;
      process->RunLanes();
      for (Fiber* fiber : fibers_.Ready(process->group())) ready.push_back(fiber);
    }
    ended_.clear();
    if (ready.empty()) return true;
    fibers_.Run(ready[dice_.Below(ready.size())]);
  }
  return false;
}

void ClusterWorld::Step(absl::Time until) {
  while (agenda_.next() <= fibers_.now()) agenda_.RunNext();
  if (!RunNow()) Found("something goes round without end");
  Bury();
  absl::Time next = std::min(until, agenda_.next());
  for (const auto& process : nodes_) {
    if (process == nullptr) continue;
    next = std::min(next, process->paused() ? process->link().paused_until
                                            : std::min(fibers_.Next(process->group()), process->NextTimer()));
  }
  fibers_.set_now(std::max(next, fibers_.now() + absl::Microseconds(1)));
}

void ClusterWorld::RunUntil(absl::Time time) {
  while (findings_.empty() && fibers_.now() < time) Step(time);
}

// --- Processes

void ClusterWorld::StartNode(size_t slot) {
  if (nodes_[slot] != nullptr) return;
  const int group = ++groups_;
  nodes_[slot] = std::make_unique<ClusterProcess>(services_, kNames[slot], group,
                                                  [this, slot] { LoseAttemptsOf(nodes_[slot]->owner()); });
  Trace(absl::StrCat("start ", nodes_[slot]->owner()));
  nodes_[slot]->Start();
}

void ClusterWorld::Kill(ClusterProcess* process) {
  if (process->dead()) return;
  Trace(absl::StrCat("end of ", process->owner()));
  process->Kill();
  fibers_.WakeAll(process->group());
  LoseAttemptsOf(process->owner());
}

void ClusterWorld::Bury() {
  for (size_t slot = 0; slot < kNodes; ++slot) {
    auto& process = nodes_[slot];
    if (process == nullptr) continue;
    if (!process->dead() && !process->ended() && !process->failure().ok()) {
      Trace(absl::StrCat(process->owner(), " fails: ", process->failure().ToString()));
      ++events_.failures;
      Kill(process.get());
    }
    if (!process->ended()) continue;
    events_.recoveries += static_cast<int64_t>(process->recoveries());
    events_.given += static_cast<int64_t>(process->given());
    ended_processes_.push_back(std::move(process));
    agenda_.At(fibers_.now() + absl::Milliseconds(dice_.Between(0, healing_ ? 100 : 2500)),
               [this, slot] { StartNode(slot); });
  }
}

ClusterProcess* ClusterWorld::Find(const std::string& owner) {
  for (const auto& process : nodes_) {
    if (process != nullptr && process->owner() == owner) return process.get();
  }
  return nullptr;
}

ClusterProcess* ClusterWorld::AnyProcess() { return nodes_[dice_.Below(kNodes)].get(); }

void ClusterWorld::Incident() {
  ClusterProcess* const process = AnyProcess();
  const absl::Time now = fibers_.now();
  const uint64_t kind = dice_.Below(100);
  if (kind < 16) {
    // They touch the database, and so all nodes.
    if (kind < 3) {
      ++events_.hangs;
      Trace("the database stands still");
      network_.Hang(now + kLease * (static_cast<double>(dice_.Between(1, 20)) / 10));
    } else if (kind < 6) {
      ++events_.restarts;
      Trace("the database restarts");
      network_.Restart();
    } else {
      ++events_.fail_overs;
      Trace("the database fails over");
      network_.FailOver(now + absl::Milliseconds(dice_.Between(0, 6000)));
    }
    return;
  }
  if (process == nullptr || process->dead()) return;
  if (kind < 37) {
    ++events_.kills;
    Kill(process);
  } else if (kind < 62) {
    ++events_.pauses;
    Trace(absl::StrCat("pause of ", process->owner()));
    const absl::Duration time = kLease * (static_cast<double>(dice_.Between(1, 25)) / 10);
    Link& link = process->link();
    if (dice_.OneIn(2)) {
      link.paused_until = now + time;
    } else {
      link.pause_after_send = time;
    }
  } else if (kind < 80) {
    ++events_.cuts;
    Trace(absl::StrCat("cut of ", process->owner()));
    process->link().cut_until = now + kLease * (static_cast<double>(dice_.Between(1, 25)) / 10);
  } else if (!process->draining()) {
    ++events_.drains;
    Trace(absl::StrCat("drain of ", process->owner()));
    process->Drain();
    process->LookSoon();
  }
}

// --- The end

void ClusterWorld::Heal() {
  healing_ = true;
  network_.set_faults(0);
  for (const auto& process : nodes_) {
    if (process != nullptr) process->link().pause_after_send = absl::ZeroDuration();
  }
  for (size_t slot = 0; slot < kNodes; ++slot) {
    if (nodes_[slot] == nullptr) agenda_.At(fibers_.now(), [this, slot] { StartNode(slot); });
  }
  const absl::Time until = fibers_.now() + kHealedAfter;
  const auto healed = [this] {
    return attempts_.empty() && std::all_of(nodes_.begin(), nodes_.end(), [](const auto& process) {
             return process != nullptr && process->serving() && process->ready() && !process->draining();
           });
  };
  while (findings_.empty() && !healed() && fibers_.now() < until) Step(until);
  if (!findings_.empty() || healed()) return;
  std::string states;
  for (const auto& process : nodes_) {
    if (process == nullptr) continue;
    absl::StrAppend(&states, " ", process->owner(), process->serving() ? " serves" : "",
                    process->ready() ? " ready" : "", process->draining() ? " drains" : "", ";");
  }
  Found(absl::StrCat("the nodes do not serve again:", states, " ", attempts_.size(), " attempts"));
}

void ClusterWorld::End() { SendReads(); }

void ClusterWorld::Found(absl::string_view what) { findings_.push_back(absl::StrCat(Replay(seed_), ": ", what)); }

void ClusterWorld::Trace(absl::string_view what) {
  static const bool print = std::getenv("HOLDFAST_SIMULATION_TRACE") != nullptr;
  const int64_t now_us = absl::ToUnixMicros(fibers_.now());
  if (print) {
    std::printf("%9.3f %5lld  %.*s\n", static_cast<double>(now_us % 1'000'000'000) / 1000,
                static_cast<long long>(moment_), static_cast<int>(what.size()), what.data());
  }
  // A hash of our own: that of Abseil is another in each process.
  constexpr uint64_t kPrime = 1'099'511'628'211;
  for (const char c : what) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * kPrime;
  trace_ = (trace_ ^ static_cast<uint64_t>(now_us)) * kPrime;
}

}  // namespace holdfast::simulation
