#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/store/format.h"

namespace holdfast::simulation {
namespace {

constexpr int kSteps = 500;
constexpr int kExecutorsMax = 3;
constexpr int kStartsMax = 4;
// A run never steps the wall clock farther than this from where it began.
constexpr absl::Duration kSteppedMax = absl::Hours(6);
// Records of requests outlive a run, with all its steps of the clock.
constexpr absl::Duration kRecordAge = absl::Hours(24);
// Calls that are not answered after this time are never answered.
constexpr absl::Duration kAnsweredAfter = absl::Seconds(60);

// Removes the records of requests, as a broken recovery would.
void RemoveRecords(storage::Store* store) {
  const storage::Location location = storage::WholeFamily(storage::FamilyId::kRequests);
  storage::WriteSet writes;
  const auto cursor = store->NewCursor(location, storage::KeyRange::Prefix({&storage::kRequestRecordKind, 1}),
                                       storage::ReadTier::kDisk);
  for (cursor->SeekToFirst(); cursor->state() == storage::ReadResult::kFound; cursor->Next()) {
    writes.Delete(cursor->key());
  }
  const storage::KeyspaceWrites part{&location, &writes};
  if (!writes.empty()) HOLDFAST_CHECK(store->CommitSync({&part, 1}).ok(), "a commit to a disk in memory");
}

}  // namespace

void Events::Add(const Events& other) {
  requests += other.requests;
  repeated += other.repeated;
  unknown += other.unknown;
  refused += other.refused;
  kills += other.kills;
  killed_in_write += other.killed_in_write;
  killed_in_start += other.killed_in_start;
  restarts += other.restarts;
  failed_syncs += other.failed_syncs;
  folds += other.folds;
  clock_steps += other.clock_steps;
  passivations += other.passivations;
  states += other.states;
}

std::string Events::DebugString() const {
  return absl::StrCat(requests, " requests (", repeated, " repeated, ", unknown, " with an unknown outcome, ", refused,
                      " refused), ", kills, " kills (", killed_in_write, " in a write, ", killed_in_start,
                      " in a start), ", restarts, " restarts, ", failed_syncs, " failed syncs, ", folds, " folds, ",
                      clock_steps, " steps of the clock, ", passivations, " passivations; ", states,
                      " states searched");
}

World::World(uint64_t seed, Broken broken) : seed_(seed), broken_(broken), dice_(seed), disk_(&dice_) {
  Draw();
  Start();
}

World::~World() {
  disk_.Cut();
  EndProcess();
}

void World::Draw() {
  clock_.set_steps(true);
  disk_.set_lies(broken_ == Broken::kAcknowledgesBeforeSync);
  disk_.set_cold(dice_.OneIn(3));
  disk_.set_during_fold([this] { DuringFold(); });
  clients_max_ = 1 + dice_.Below(8);
  if (dice_.OneIn(3)) families_max_ = 1 + static_cast<int>(dice_.Below(2));
  switch (dice_.Below(4)) {
    case 0:
      fold_bytes_ = 4000;
      break;
    case 1:
      disk_.set_payload_bytes_max(3000);
      break;
    default:
      steps_in_folds_ = true;
  }

  options_.records.age = kRecordAge;
  options_.idle_timeout = absl::Milliseconds(dice_.OneIn(2) ? 10'000 : dice_.Between(1, 200));
  if (dice_.OneIn(4)) options_.turn_timeout = absl::Milliseconds(dice_.Between(20, 60));
  if (dice_.OneIn(4)) options_.mailbox.requests_max = 2;
  if (dice_.OneIn(4)) options_.pipeline_bytes_max = 1000;
  if (dice_.OneIn(4)) options_.activation_bytes_max = 4000;
  if (dice_.OneIn(3)) options_.inline_commit_max = absl::InfiniteDuration();

  const auto add = [&](absl::string_view name, Kind kind, bool sql = false) {
    objects_.push_back({std::string(name), kind, storage::ObjectKey("default", kind.object_class->name, name), sql});
  };
  if (!dice_.OneIn(4)) add("counter", CounterKind());
  if (dice_.OneIn(3)) add("other counter", CounterKind());
  if (dice_.OneIn(3)) add("limiter", LimiterKind());
  if (!dice_.OneIn(3)) add("plain", PlainKind(), dice_.OneIn(4));
  if (dice_.OneIn(2) || objects_.empty()) add("ledger", LedgerKind(broken_ == Broken::kTurnsInterleave));
}

std::vector<std::string> World::Run() {
  for (int i = 0; i < kSteps && findings_.empty(); ++i) {
    Step();
    GiveUp();
    ended_.clear();
    // A process whose disk has failed is about to end; some of its work goes on until then.
    if (findings_.empty() && failed() && dice_.OneIn(3)) Kill();
  }
  if (findings_.empty()) End();
  if (findings_.empty()) JudgeAll();
  return findings_;
}

void World::Step() {
  const uint64_t kind = dice_.Below(1000);
  if (kind < 320) {
    SendNew();
  } else if (kind < 380) {
    SendAgain();
  } else if (kind < 390) {
    SendOther();
  } else if (kind < 790) {
    for (uint64_t i = dice_.Below(4); i < 4; ++i) StepServer();
  } else if (kind < 880) {
    Advance(absl::Microseconds(dice_.Between(0, 20'000)));
  } else if (kind < 890) {
    Advance(absl::Milliseconds(dice_.Between(0, 12'000)));
  } else if (kind < 910) {
    HoldCommits();
  } else if (kind < 935) {
    Fold();
  } else if (kind < 950) {
    Passivate();
  } else if (kind < 958) {
    StepClock();
  } else if (kind < 963) {
    disk_.set_cold(dice_.OneIn(2));
  } else if (kind < 966) {
    disk_.set_full(dice_.OneIn(2));
  } else if (kind < 970) {
    disk_.FailNextAppend();
  } else if (kind < 971) {
    disk_.FailNextFold();
  } else if (kind < 983) {
    Kill();
  } else if (kind < 988) {
    KillInFold();
  } else if (kind < 991) {
    Restart();
  } else {
    node_->Settle();
  }
}

void World::StepServer() {
  const size_t lanes = held_.size();
  const size_t first = dice_.Below(lanes);
  for (size_t i = 0; i < lanes; ++i) {
    if (StepLane((first + i) % lanes)) break;
  }
  for (int& held : held_) held = std::max(0, held - 1);
  node_->CheckInvariants();
}

bool World::StepLane(size_t number) {
  NodeLane& lane = node_->lane(static_cast<int>(number));
  std::vector<std::pair<ManualBackground*, bool>> possible;
  for (ManualBackground* background : {&lane.reads, &lane.sql, &lane.family_changes, &lane.commits}) {
    if (background->ended() > 0) possible.emplace_back(background, true);
    if (background->waiting() == 0 || (background == &lane.commits && held_[number] > 0)) continue;
    if (background != &lane.family_changes || !folding_) possible.emplace_back(background, false);
  }
  // The executor, or a thread beside it.
  const size_t choice = dice_.Below(possible.size() + 1);
  if (choice == possible.size()) {
    const bool ran = lane.executor.RunUntilIdle();
    lane.executor.EndRound();
    return ran;
  }
  const auto& [background, done] = possible[choice];
  if (background == &lane.reads && dice_.OneIn(3)) background->Overtake();
  return done ? background->RunDone() : background->RunWork();
}

void World::Advance(absl::Duration time) {
  Trace("time passes");
  clock_.Advance(time);
}

void World::StepClock() {
  const absl::Duration by =
      absl::Milliseconds(dice_.OneIn(2) ? dice_.Between(-2000, 2000) : dice_.Between(-1'800'000, 1'800'000));
  if (stepped_ + by > kSteppedMax || stepped_ + by < -kSteppedMax) return;
  ++events_.clock_steps;
  stepped_ += by;
  clock_.StepWall(by);
}

void World::HoldCommits() { held_[dice_.Below(held_.size())] = static_cast<int>(dice_.Between(5, 80)); }

void World::Passivate() {
  ++events_.passivations;
  const storage::ObjectKey& key = objects_[dice_.Below(objects_.size())].key;
  actors::ShardHost* const host = &node_->host_of(key);
  for (int i = 0; i < node_->lanes(); ++i) {
    NodeLane& lane = node_->lane(i);
    if (lane.host.get() == host) lane.executor.Post([host, key] { host->PassivateSoon(key); });
  }
}

// --- The process

void World::Start() {
  for (int starts = 1; !TryStart(/*may_die=*/starts < kStartsMax && dice_.OneIn(8)) && findings_.empty(); ++starts) {
    ++events_.killed_in_start;
  }
}

bool World::TryStart(bool may_die) {
  fold_failed_ = false;
  storage::LoggedStoreOptions options;
  options.logs = 1 + static_cast<uint32_t>(dice_.Below(kExecutorsMax));
  options.fold_bytes = fold_bytes_;
  options.now = [this] { return clock_.Wall(); };
  options.on_failure = [this](const absl::Status&) { fold_failed_ = true; };
  const int executors = static_cast<int>(options.logs);
  auto store = disk_.Open(std::move(options), may_die ? std::optional(dice_.Below(12)) : std::nullopt);
  if (store.ok()) {
    store_ = *std::move(store);
    if (broken_ == Broken::kRecordLost) RemoveRecords(store_.get());
    std::vector<const actors::ObjectClass*> classes;
    for (const Tested& object : objects_) classes.push_back(object.kind.object_class);
    node_ = std::make_unique<Node>(store_.get(), &clock_, std::move(classes), options_, families_max_,
                                   dice_.Below(UINT32_MAX), nullptr, executors);
  }
  if (may_die) {
    disk_.Cut();
    EndProcess();
    return false;
  }
  held_.assign(static_cast<size_t>(executors), 0);
  Trace("start");
  if (!store.ok()) {
    Find(absl::StrCat("the start failed: ", store.status().ToString()));
  } else if (!node_->recovered().ok()) {
    Find(absl::StrCat("the start failed: ", node_->recovered().ToString()));
  }
  return true;
}

void World::Kill() {
  ++events_.kills;
  Trace("kill");
  if (failed()) ++events_.failed_syncs;
  // A commit that is under way has not begun to be written, or is written in part, or is durable and nobody knows.
  for (int i = 0; i < node_->lanes(); ++i) {
    const uint64_t how = dice_.Below(3);
    if (how == 0 || node_->lane(i).commits.waiting() == 0) continue;
    if (how == 1) disk_.CutAfter(0);
    if (how == 1) ++events_.killed_in_write;
    node_->lane(i).commits.RunWork();
  }
  disk_.Cut();
  EndProcess();
  Start();
}

void World::Fold() {
  ++events_.folds;
  Trace("fold");
  folding_ = true;
  (void)store_->Fold();
  folding_ = false;
}

void World::DuringFold() {
  // A commit or a new family that waits for the next fold would wait for ever.
  if (!folding_ || !steps_in_folds_) return;
  for (uint64_t i = dice_.Below(6); i > 0 && !disk_.cut(); --i) {
    if (dice_.OneIn(4)) SendNew();
    StepServer();
  }
}

void World::KillInFold() {
  ++events_.killed_in_write;
  disk_.CutAfter(dice_.Below(4));
  Fold();
  Kill();
}

void World::Restart() {
  ++events_.restarts;
  Settle();
  if (failed()) return;
  for (int i = 0; i < node_->lanes(); ++i) node_->lane(i).host->Stop();
  node_->Settle();
  for (int i = 0; i < node_->lanes(); ++i) node_->lane(i).host->SettleHeaders();
  node_->Settle();
  EndProcess();
  if (findings_.empty()) Start();
}

void World::EndProcess() {
  Trace("end");
  const Moment moment = ++now_;
  for (const auto& [call, owned] : calls_) {
    Request& request = requests_[call->request];
    --request.under_way;
    request.last_ended = moment;
    if (call->given_up || call->answered) continue;
    ++request.unknown;
    request.waited_for = false;
  }
  for (Request& request : requests_) {
    if (std::exchange(request.until_kill, false)) request.last_ended = moment;
  }
  if (node_ != nullptr && node_->stuck()) Find("something goes round without end");
  calls_.clear();
  ended_.clear();
  node_.reset();
  store_.reset();
}

// --- The end

void World::Settle() {
  const absl::Time until = clock_.Steady() + kAnsweredAfter;
  node_->Settle();
  while (!calls_.empty() && clock_.Steady() < until && !failed()) {
    node_->Advance(absl::Milliseconds(100));
  }
  GiveUp();
  ended_.clear();
  if (calls_.empty() || failed()) return;
  Find(absl::StrCat("no answer to ", requests_[calls_.begin()->first->request].text));
}

void World::End() {
  disk_.set_cold(false);
  disk_.set_full(false);
  for (const bool again : {false, true}) {
    SendReads();
    Settle();
    // A sync that fails ends the process, and is no finding; those reads have no answer.
    if (findings_.empty() && (!again || failed())) Kill();
    if (!findings_.empty()) return;
  }
  SendReads();
  Settle();
}

void World::Find(absl::string_view what) { findings_.push_back(absl::StrCat(Replay(seed_), ": ", what)); }

void World::Trace(absl::string_view what) {
  static const bool print = std::getenv("HOLDFAST_SIMULATION_TRACE") != nullptr;
  if (print) std::printf("%6lld  %.*s\n", static_cast<long long>(now_), static_cast<int>(what.size()), what.data());
  // A hash of our own: that of Abseil is another in each process.
  constexpr uint64_t kPrime = 1'099'511'628'211;
  for (const char c : what) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * kPrime;
  trace_ = (trace_ ^ static_cast<uint64_t>(absl::ToUnixMicros(clock_.Wall()))) * kPrime;
}

}  // namespace holdfast::simulation
