#include "actors/runtime/activation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/runtime/activation_turns.h"
#include "actors/runtime/lane.h"
#include "actors/runtime/turn_limits.h"
#include "actors/wire/errors.h"
#include "storage/base/check.h"
#include "storage/base/log.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

// The memory of an activation beside its instance: the map, the queue, the keys.
constexpr size_t kActivationBytes = 3 << 10;

}  // namespace

Activation::Activation(const storage::ObjectKey& key, const ObjectClass* object_class, Lane* lane)
    : key_(key),
      class_(object_class),
      lane_(lane),
      storage_(lane->services.store, lane->services.reads, nullptr, &lane->sql, this),
      output_gate_(&lane->pipeline, lane->services.store),
      record_(&key_, object_class, lane),
      place_(&key_, &storage_, lane),
      queue_(&lane->options.mailbox),
      waits_(lane->services.executor) {
  storage_.set_object(&key_);
}

Activation::~Activation() = default;

absl::Time Activation::Now() { return record_.Now(); }

size_t Activation::MemoryBytes() const {
  return kActivationBytes + key_.encoded().size() + object_->MemoryBytes() + storage_.MemoryBytes();
}

bool Activation::busy() const { return !turns_.empty() || !queue_.empty(); }

Random& Activation::random() { return *lane_->services.random; }

const ObjectLimits& Activation::limits() const { return lane_->options.objects; }

AlarmWatchers& Activation::alarm_watchers() { return *lane_->services.watchers; }

std::optional<AlarmWatchers::Claim> Activation::TakeAlarmClaim() {
  if (alarm_turn_ == nullptr || !alarm_turn_->claim) return std::nullopt;
  std::optional<AlarmWatchers::Claim> claim(*std::move(alarm_turn_->claim));
  alarm_turn_->claim.reset();
  return claim;
}

void Activation::LeaveNoRecord() { input_gate_.holder()->progress.unrecorded = true; }

void Activation::AfterCommit(absl::AnyInvocable<void()> function) {
  if (beside_ == nullptr) beside_ = std::make_unique<Beside>();
  beside_->after_commit.push_back(std::move(function));
}

// --- Deliveries and turns.

void Activation::Deliver(Delivery* request) {
  if (Enqueue(request)) {
    Pump();
  } else {
    Refuse(request, MailboxFull());
  }
}

bool Activation::Gather(Delivery* request) {
  if (!Enqueue(request)) {
    if (gathering_) Pump();
    if (!gathering_ || !Enqueue(request)) {
      Refuse(request, MailboxFull());
      return false;
    }
  }
  return !std::exchange(gathering_, true);
}

void Activation::RunGathered() {
  gathering_ = false;
  Pump();
}

bool Activation::Enqueue(Delivery* request) {
  if (!queue_.Push(request)) return false;
  if (storage::Observer* const observer = lane_->services.observer) {
    observer->RequestQueued(class_->name, queue_.depth());
  }
  return true;
}

void Activation::Refuse(Delivery* request, const absl::Status& why) {
  if (storage::Observer* const observer = lane_->services.observer) observer->RequestRefused(class_->name, why);
  request->Done(why);
}

absl::Status Activation::MailboxFull() const {
  return Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL,
                   absl::StrCat("the mailbox of ", key_.DebugString(), " is full"), absl::Milliseconds(100));
}

void Activation::DeliverAlarm(std::optional<AlarmWatchers::Claim> claim,
                              std::unique_ptr<const storage::Preread> preread) {
  if (preread != nullptr) storage_.set_preread(std::move(preread));
  if (alarm_turn_ == nullptr) {
    QueueAlarmTurn(std::move(claim));
    Pump();
  } else if (alarm_turn_->ran && !alarm_fired_again_) {
    alarm_fired_again_ = true;  // for the alarm that was set meanwhile
  } else {
    lane_->alarms.Ended(key_.encoded(), AlarmScheduler::End::kSettled);
  }
}

void Activation::QueueAlarmTurn(std::optional<AlarmWatchers::Claim> claim) {
  alarm_turn_ = Make<AlarmTurn>();
  if (claim) alarm_turn_->claim.emplace(*std::move(claim));
  queue_.PushReserved(alarm_turn_);
}

void Activation::Drop(const Delivery* turn) {
  std::erase_if(own_turns_, [&](const auto& own) { return own.get() == turn; });
}

Delivery* Activation::NextRequest() {
  return queue_.Next(turns_, [this](Delivery* request) { Refuse(request, MailboxFull()); });
}

void Activation::Pump() {
  if (std::exchange(pumping_, true)) return;
  while (input_gate_.open()) {
    if (auto ready = input_gate_.Next()) {
      input_gate_.Enter(ready->turn);
      Continue(ready->turn, ready->handler);
      continue;
    }
    // A move would load it again.
    const bool at_rest = turns_.empty() && !place_.moving() && !place_.family_pending();
    if (passivate_soon_ && state_ == State::kActive && at_rest) {
      if (!leaving_tried_ && MayLeave()) {
        BeginLeaving();
        continue;
      }
      Unload();
    }
    if (state_ != State::kActive) {
      // A request that repeats the id of a turn in progress has waited for that turn.
      if (!lane_->host.owns(key_.shard())) FailWaiting(WrongOwner());
      if (queue_.empty()) break;
      state_ = State::kLoading;
      load_turn_ = std::make_unique<LoadTurn>();
      if (lane_->services.observer != nullptr) load_turn_->progress.began = lane_->clock().Steady();
      Begin(load_turn_.get(), Load(), lane_->options.load_timeout);
      continue;
    }
    Delivery* const next = NextRequest();
    if (next == nullptr) break;
    storage::Observer* const observer = OfRuntime(next) ? nullptr : lane_->services.observer;
    const bool timed = next->deadline != absl::InfiniteFuture() || observer != nullptr || next->times != nullptr;
    const absl::Time now = timed ? lane_->clock().Steady() : absl::InfinitePast();
    if (next->deadline < now) {
      Refuse(next, DeadlinePassed());
      continue;
    }
    if (observer != nullptr) {
      observer->RequestBegun(class_->name);
      next->progress.began = now;
    }
    if (next->times != nullptr) next->times->began = now;
    Begin(next, next->recorded() != nullptr ? RunRecorded(next) : next->Run(*object_), LimitOf(next));
  }
  pumping_ = false;
  if (state_ == State::kActive) {
    lane_->residency.Used(this, MemoryBytes());
  } else if (state_ != State::kLoading) {
    state_ = State::kPassivating;
    lane_->RemoveWhenDurable(key_, place_.last_batch());
  }
}

absl::Duration Activation::LimitOf(const Delivery* turn) const {
  return turn == alarm_turn_ ? lane_->options.alarm_timeout : lane_->options.turn_timeout;
}

void Activation::Begin(Delivery* turn, Task<absl::Status> task, absl::Duration limit) {
  input_gate_.Enter(turn);
  turns_.push_back(turn);
  turn->progress.task.emplace(std::move(task));
  turn->progress.task->Start();
  if (turn->progress.task->done()) {
    EndTurn(turn);
  } else if (!turn->progress.time_limit) {
    turn->progress.time_limit = lane_->services.executor->After(limit, [this, turn] { TimeOut(turn); });
  }
}

void Activation::Continue(Delivery* turn, std::coroutine_handle<> handler) {
  const bool pumping = std::exchange(pumping_, true);
  handler.resume();
  if (turn->progress.task->done()) EndTurn(turn);
  pumping_ = pumping;
  Pump();
}

void Activation::Retire(Delivery* turn) {
  if (turn->progress.time_limit) lane_->services.executor->Cancel(*turn->progress.time_limit);
  turn->progress.time_limit.reset();
  turn->progress.task.reset();
  if (input_gate_.holder() == turn) input_gate_.Leave();
  turns_.erase(std::find(turns_.begin(), turns_.end(), turn));
  if (turn == alarm_turn_) {
    alarm_turn_ = nullptr;
    storage_.DropPreread();
    if (std::exchange(alarm_fired_again_, false)) QueueAlarmTurn();
  }
}

void Activation::EndTurn(Delivery* turn) {
  absl::Status status = turn->progress.task->TakeResult();
  AlarmTurn* const alarm = turn == alarm_turn_ ? alarm_turn_ : nullptr;
  Retire(turn);
  if (turn == load_turn_.get()) {
    EndLoad(status);
    return;
  }
  status = FromStorage(status);
  // A change of the alarm stands if the handler has failed, and not if the runtime refuses the turn.
  const bool by_handler = !status.ok();
  if (status.ok()) status = CheckTurn(turn);
  // The alarm that ran is still the object's: nobody set or deleted it meanwhile.
  const bool alarm_stands = alarm != nullptr && alarm->ran && alarm->generation == record_.alarm_generation();
  const size_t bytes_written = status.ok() ? storage_.writes().bytes() : 0;
  bool discard = false;
  if (!status.ok()) {
    auto change = storage_.alarm_change();
    if (!by_handler) change.reset();
    discard = storage_.wrote();
    DropTurn();
    // A full disk is no failure of the handler: it is tried again.
    if (alarm != nullptr && ReasonOf(status) != v1::ERROR_REASON_DISK_FULL) {
      Log(LogLevel::kWarning, "alarm_failed", {{"object", key_.DebugString()}, {"status", status.ToString()}});
      if (change || alarm_stands) CommitAlarmFailure(change);
      alarm->end = AlarmScheduler::End::kSettled;
    }
    if (turn == move_turn_) AbortMove();
  } else if (turn == move_turn_) {
    CommitMoveStep();
  } else {
    discard = storage_.deleted_all();
    if (alarm != nullptr && alarm->end == AlarmScheduler::End::kNotBegun) alarm->end = AlarmScheduler::End::kSettled;
    if (alarm_stands && !storage_.alarm_change()) storage_.DeleteAlarm();
    if (alarm != nullptr && alarm->ran) record_.SettleCatalogSize(storage_.usage());
    CommitTurn();
  }
  TellEnded(turn, status, bytes_written);
  output_gate_.Pass(turn, std::move(status), place_.last_batch());
  if (discard) Reset(ObjectReset("the object was reset while the request waited; nothing of its turn happened"));
}

absl::Status Activation::CheckTurn(Delivery* turn) {
  if (absl::Status status = turn->CheckReply(); !status.ok()) return status;
  if (absl::Status status = CheckWrites(storage_, key_, record_.exists(), record_.size_bytes(), *lane_); !status.ok())
    return status;
  if (turn->recorded() == nullptr || turn->progress.unrecorded) return absl::OkStatus();
  if (beside_ == nullptr) beside_ = std::make_unique<Beside>();
  return lane_->records.Add(key_, *turn->recorded(), &beside_->record);
}

bool Activation::OfRuntime(const Delivery* turn) const { return turn == alarm_turn_ || turn == move_turn_; }

void Activation::TellEnded(Delivery* turn, const absl::Status& outcome, size_t bytes_written) {
  const std::optional<absl::Time> began = std::exchange(turn->progress.began, std::nullopt);
  if (!began && turn->times == nullptr) return;
  const absl::Time now = lane_->clock().Steady();
  if (turn->times != nullptr) turn->times->ended = now;
  if (!began) return;
  lane_->services.observer->RequestEnded(class_->name, outcome, now - *began);
  lane_->hot.Add(key_, now, now - *began, bytes_written);
}

void Activation::DropTurn() {
  if (storage_.wrote()) storage_.CloseSql();
  storage_.DropTurn();
  beside_ = nullptr;
}

void Activation::EndLoad(const absl::Status& status) {
  storage::Observer* const observer = lane_->services.observer;
  const std::optional<absl::Time> began = load_turn_->progress.began;
  load_turn_.reset();
  if (status.ok()) {
    CommitTurn();
    state_ = State::kActive;
    if (observer != nullptr && began) observer->Activated(class_->name, lane_->clock().Steady() - *began);
    return;
  }
  if (observer != nullptr) observer->LoadFailed(class_->name);
  state_ = State::kBroken;
  DropTurn();
  storage_.DropPreread();
  object_.reset();
  storage_.CloseSql();
  record_.DropChanges();
  FailWaiting(FromStorage(status));
}

void Activation::TimeOut(Delivery* turn) {
  turn->progress.time_limit.reset();
  Log(LogLevel::kError, "turn_timed_out", {{"object", key_.DebugString()}});
  GiveUp(turn, ObjectReset(absl::StrCat("a turn of ", key_.DebugString(),
                                        " took too long; the object was reset and nothing of the turn happened")));
}

void Activation::GiveUp(Delivery* turn, const absl::Status& why) {
  pumping_ = true;
  if (turn == load_turn_.get()) {
    Retire(turn);
    EndLoad(why);
  } else {
    // An alarm handler that does not end has failed; a full disk is not its failure.
    AlarmTurn* const alarm = turn == alarm_turn_ && ReasonOf(why) != v1::ERROR_REASON_DISK_FULL ? alarm_turn_ : nullptr;
    if (alarm != nullptr) alarm->end = AlarmScheduler::End::kSettled;
    const bool failed = alarm != nullptr && alarm->generation == record_.alarm_generation();
    Reset(why);
    if (failed) CommitAlarmFailure(std::nullopt);
  }
  pumping_ = false;
  Pump();
}

void Activation::Reset(const absl::Status& why) {
  state_ = State::kBroken;
  passivate_soon_ = false;
  DropTurn();
  while (!turns_.empty()) {
    Delivery* const turn = turns_.back();
    Retire(turn);
    if (turn == move_turn_) AbortMove();
    TellEnded(turn, why, /*bytes_written=*/0);
    output_gate_.Pass(turn, why, place_.last_batch());
  }
  Discard();
}

void Activation::FailWaiting(const absl::Status& status) {
  while (Delivery* waiting = NextRequest()) {
    if (waiting == alarm_turn_) alarm_turn_ = nullptr;
    if (waiting == move_turn_) AbortMove();
    output_gate_.Pass(waiting, status, place_.last_batch());
  }
}

bool Activation::Passivate() {
  if (state_ != State::kActive || !turns_.empty() || !queue_.empty() || place_.moving()) return false;
  if (MayLeave()) {
    // Not here: the turn may end at once, while the host looks for objects to unload.
    if (!std::exchange(passivate_soon_, true)) {
      lane_->services.executor->Post([lane = lane_, key = key_] {
        if (Activation* const activation = lane->host.find(key)) activation->PassivateSoon();
      });
    }
    return false;
  }
  Unload();
  lane_->RemoveWhenDurable(key_, place_.last_batch());
  return true;
}

void Activation::PassivateSoon() {
  passivate_soon_ = state_ == State::kActive || state_ == State::kLoading;
  Pump();
}

void Activation::Evict() {
  FailWaiting(WrongOwner());
  PassivateSoon();
}

void Activation::EvictNow() {
  if (!turns_.empty()) GiveUp(turns_.front(), ObjectReset(absl::StrCat(key_.DebugString(), " has moved elsewhere")));
}

void Activation::Unload() {
  passivate_soon_ = false;
  state_ = State::kPassivating;
  Discard();
}

void Activation::Discard() {
  SettleHeader();
  object_.reset();
  storage_.CloseSql();
  lane_->residency.Left(this);
  if (storage::Observer* const observer = lane_->services.observer) observer->Passivated(class_->name);
}

bool Activation::removable() const {
  return object_ == nullptr && state_ != State::kLoading && queue_.empty() && turns_.empty() && !pumping_ &&
         !place_.family_pending() && !place_.moving() && own_turns_.empty() &&
         place_.last_batch() <= lane_->pipeline.durable();
}

// --- Waiting for something else than storage.

void Activation::BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) {
  Delivery* const turn = input_gate_.holder();
  if (end_turn) {
    if (absl::Status error = CheckWrites(storage_, key_, record_.exists(), record_.size_bytes(), *lane_); !error.ok()) {
      // It is never resumed. Not here: the coroutine is still on the stack.
      lane_->services.executor->Post([this, turn, error = std::move(error)] {
        // Unless a reset came first.
        if (input_gate_.holder() == turn) GiveUp(turn, error);
      });
      return;
    }
    CommitTurn();
    if (turn->progress.time_limit) lane_->services.executor->Cancel(*turn->progress.time_limit);
    turn->progress.time_limit = lane_->services.executor->After(LimitOf(turn), [this, turn] { TimeOut(turn); });
  }
  // A load is a critical section: nothing else comes in before it ends.
  if (state_ == State::kActive && !storage_.wrote()) input_gate_.Leave();
  waits_.Begin(handler, time, [this, handler, turn] {
    if (input_gate_.holder() == turn) {
      Continue(turn, handler);
    } else {
      input_gate_.Queue({turn, handler});
      Pump();
    }
  });
}

void Activation::CancelWait(std::coroutine_handle<> handler) {
  waits_.Cancel(handler);
  input_gate_.Forget(handler);
}

void Activation::CheckInvariants() const {
  HOLDFAST_CHECK((object_ != nullptr) == (state_ == State::kActive) || state_ == State::kLoading, key_);
  HOLDFAST_CHECK(input_gate_.open() || std::count(turns_.begin(), turns_.end(), input_gate_.holder()) == 1, key_);
  HOLDFAST_CHECK(!storage_.wrote() || !input_gate_.open(), key_);
  HOLDFAST_CHECK(waits_.size() <= turns_.size(), key_);
  HOLDFAST_CHECK(!place_.family_pending() || (place_.packed() && !place_.moving()), key_);
  HOLDFAST_CHECK(!place_.moving() || move_turn_ != nullptr, key_);
  HOLDFAST_CHECK(!HasRecord() || !input_gate_.open(), key_);
  HOLDFAST_CHECK(seat_.taken() == (object_ != nullptr && state_ == State::kActive), key_);
}

}  // namespace holdfast::actors
