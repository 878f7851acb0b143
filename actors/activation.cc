#include "actors/activation.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/errors.h"
#include "actors/shard_host.h"
#include "storage/catalog.h"
#include "storage/format.h"
#include "storage/log.h"

namespace holdfast::actors {
namespace {

using storage::WriteSet;
using storage::v1::AlarmRecord;
using storage::v1::ObjectHeader;

constexpr absl::Duration kRetryFirst = absl::Seconds(2);
constexpr absl::Duration kRetryMax = absl::Seconds(64);
constexpr double kRetryJitter = 0.25;
// What moves in one turn.
constexpr size_t kMoveBytesMax = 1 << 20;

const std::string kHeaderKey(1, storage::kObjectHeaderKind);
const std::string kAlarmKey(1, storage::kAlarmKind);

absl::Duration RetryDelay(int32_t failures, Random& random) {
  const absl::Duration delay = std::min(kRetryMax, kRetryFirst * std::exp2(std::min(failures - 1, 10)));
  return delay * (1 + kRetryJitter * random.Uniform());
}

storage::Location PackedLocation(const storage::ObjectKey& key) {
  std::string prefix;
  storage::AppendUint16(&prefix, static_cast<uint16_t>(key.shard()));
  prefix += key.encoded();
  return {storage::FamilyId::kPacked, std::move(prefix)};
}

// A record under one key of the object itself.
storage::Read<std::optional<std::string>> ReadKey(storage::ObjectStorage* storage, const std::string& key) {
  return {storage, storage::KeyRange::Single(key), [key](storage::View& view) { return view.Get(key); }};
}

}  // namespace

// Loading is a turn that no delivery asked for: its outcome goes to those that wait.
class Activation::LoadTurn : public Delivery {
 public:
  Task<absl::Status> Run(Object&) override { std::abort(); }
  void Done(const absl::Status&) override {}
};

class Activation::AlarmTurn : public Delivery {
 public:
  explicit AlarmTurn(Activation* activation) : activation_(activation), host_(activation->host_) {}
  Task<absl::Status> Run(Object&) override { return activation_->RunAlarm(this); }
  void Done(const absl::Status&) override {
    host_->alarms_.Ended(object_, !settled);
    delete this;
  }

  // The handler ran, and what came of it is on its way to disk; or there was nothing to run.
  bool settled = false;
  bool ran = false;
  uint64_t generation = 0;  // of the alarm that it runs

 private:
  Activation* const activation_;  // while it has not ended
  ShardHost* const host_;
  const std::string object_ = activation_->key_.encoded();
};

class Activation::MoveTurn : public Delivery {
 public:
  MoveTurn(Activation* activation, const storage::Placement& to)
      : placement(to), activation_(activation), host_(activation->host_) {}
  Task<absl::Status> Run(Object&) override { return activation_->ReadAll(this); }
  void Done(const absl::Status&) override {
    if (!moved) host_->DropFamily(placement);
    delete this;
  }

  const storage::Placement placement;
  WriteSet copies;
  WriteSet removals;
  bool moved = false;

 private:
  Activation* const activation_;  // while it has not ended
  ShardHost* const host_;
};

Activation::Activation(const storage::ObjectKey& key, const ObjectClass* object_class, ShardHost* host)
    : key_(key),
      class_(object_class),
      host_(host),
      keyspace_(),
      placement_(host->services_.families->Find(key)),
      storage_(host->services_.store, host->services_.reads, nullptr,
               [this](std::coroutine_handle<> handler) { Continue(input_gate_.holder(), handler); }),
      output_gate_(&host->pipeline_),
      mailbox_(&host->options_.mailbox) {
  keyspace_ =
      std::make_unique<storage::Keyspace>(placement_ ? storage::Location{placement_->family, ""} : PackedLocation(key));
  storage_.set_keyspace(keyspace_.get());
}

Activation::~Activation() = default;

absl::Time Activation::Now() {
  clock_used_ = true;
  const absl::Time wall = absl::FromUnixMicros(absl::ToUnixMicros(host_->Now()));
  last_now_ = std::max(last_now_, wall);
  if (header_) last_now_ = std::max(last_now_, absl::FromUnixMicros(header_->clock_us()));
  return last_now_;
}

Random& Activation::random() { return *host_->services_.random; }

// --- Deliveries and turns.

void Activation::Deliver(Delivery* request) {
  if (!mailbox_.Push(request)) {
    request->Done(Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_MAILBOX_FULL,
                            absl::StrCat("the mailbox of ", key_.DebugString(), " is full"), absl::Milliseconds(100)));
    return;
  }
  Pump();
}

void Activation::DeliverAlarm() {
  if (alarm_turn_ == nullptr) {
    alarm_turn_ = new AlarmTurn(this);
    mailbox_.PushReserved(alarm_turn_);
    Pump();
  } else if (alarm_turn_->ran && !alarm_fired_again_) {
    alarm_fired_again_ = true;  // for the alarm that was set meanwhile
  } else {
    host_->alarms_.Ended(key_.encoded(), false);
  }
}

void Activation::MoveTo(const storage::Placement& placement) {
  wants_family_ = false;
  move_turn_ = new MoveTurn(this, placement);
  mailbox_.PushReserved(move_turn_);
  Pump();
}

void Activation::Pump() {
  if (std::exchange(pumping_, true)) return;
  while (input_gate_.open()) {
    if (auto ready = input_gate_.Next()) {
      input_gate_.Enter(ready->turn);
      Continue(ready->turn, ready->handler);
      continue;
    }
    if (state_ != State::kActive) {
      if (mailbox_.empty()) break;
      state_ = State::kLoading;
      load_turn_ = std::make_unique<LoadTurn>();
      Begin(load_turn_.get(), Load(), host_->options_.load_timeout);
      continue;
    }
    Delivery* next = mailbox_.Pop();
    if (next == nullptr) break;
    if (next->deadline != absl::InfiniteFuture() && next->deadline < host_->Now()) {
      next->Done(Error(absl::StatusCode::kDeadlineExceeded, v1::ERROR_REASON_DEADLINE_PASSED,
                       "the deadline passed while the request waited for its turn; nothing was done"));
      continue;
    }
    Begin(next, next->Run(*object_), LimitOf(next));
  }
  pumping_ = false;
  if (state_ == State::kActive) {
    host_->Touch(this);
  } else if (state_ != State::kLoading) {
    state_ = State::kPassivating;
    host_->RemoveWhenDurable(this);
  }
}

absl::Duration Activation::LimitOf(const Delivery* turn) const {
  return turn == alarm_turn_ ? host_->options_.alarm_timeout : host_->options_.turn_timeout;
}

void Activation::Begin(Delivery* turn, Task<absl::Status> task, absl::Duration limit) {
  input_gate_.Enter(turn);
  turns_.push_back(turn);
  turn->task_.emplace(std::move(task));
  turn->task_->Start();
  if (turn->task_->done()) {
    EndTurn(turn);
  } else if (!turn->time_limit_) {
    turn->time_limit_ = host_->services_.executor->At(host_->Now() + limit, [this, turn] { TimeOut(turn); });
  }
}

void Activation::Continue(Delivery* turn, std::coroutine_handle<> handler) {
  const bool pumping = std::exchange(pumping_, true);
  handler.resume();
  if (turn->task_->done()) EndTurn(turn);
  pumping_ = pumping;
  Pump();
}

void Activation::Retire(Delivery* turn) {
  if (turn->time_limit_) host_->services_.executor->Cancel(*turn->time_limit_);
  turn->time_limit_.reset();
  turn->task_.reset();
  if (input_gate_.holder() == turn) input_gate_.Leave();
  turns_.erase(std::find(turns_.begin(), turns_.end(), turn));
  if (turn == move_turn_) move_turn_ = nullptr;
  if (turn == alarm_turn_) {
    alarm_turn_ = nullptr;
    if (std::exchange(alarm_fired_again_, false)) {
      alarm_turn_ = new AlarmTurn(this);
      mailbox_.PushReserved(alarm_turn_);
    }
  }
}

void Activation::EndTurn(Delivery* turn) {
  absl::Status status = turn->task_->TakeResult();
  AlarmTurn* const alarm = turn == alarm_turn_ ? alarm_turn_ : nullptr;
  MoveTurn* const move = turn == move_turn_ ? move_turn_ : nullptr;
  Retire(turn);
  if (turn == load_turn_.get()) {
    EndLoad(status);
    return;
  }
  status = FromStorage(status);
  // What the runtime refuses, not the handler.
  const bool by_handler = !status.ok();
  if (status.ok()) status = turn->CheckReply();
  if (status.ok() && storage_.writes().bytes() > host_->options_.turn_bytes_max) {
    status = TurnTooLarge(storage_.writes().bytes());
  }
  // The alarm that ran is still the object's: nobody set or deleted it meanwhile.
  const bool alarm_stands = alarm != nullptr && alarm->ran && alarm->generation == alarm_generation_;
  bool discard = false;
  if (!status.ok()) {
    auto change = storage_.alarm_change();
    if (!by_handler) change.reset();
    discard = storage_.wrote();
    storage_.DropTurn();
    if (alarm != nullptr) {
      Log(LogLevel::kWarning, "alarm_failed", {{"object", key_.DebugString()}, {"status", status.ToString()}});
      if (change || alarm_stands) CommitAlarmFailure(change);
      alarm->settled = true;
    }
    if (move != nullptr) family_refused_ = true;
  } else if (move != nullptr) {
    CommitMove(move);
  } else {
    discard = storage_.deleted_all();
    if (alarm != nullptr) alarm->settled = true;
    if (alarm_stands && !storage_.alarm_change()) storage_.DeleteAlarm();
    if (storage_.wrote()) CommitTurn();
  }
  output_gate_.Pass(turn, std::move(status), last_batch_);
  if (discard) Reset(ObjectReset("the object was reset while the request waited; nothing of its turn happened"));
}

void Activation::EndLoad(const absl::Status& status) {
  load_turn_.reset();
  if (status.ok()) {
    if (storage_.wrote() || header_changed_) CommitTurn();
    state_ = State::kActive;
    return;
  }
  state_ = State::kBroken;
  storage_.DropTurn();
  object_.reset();
  header_changed_ = false;
  FailWaiting(FromStorage(status));
}

absl::Status Activation::TurnTooLarge(size_t bytes) const {
  return QuotaExceeded("turn_bytes_max", absl::StrCat("the writes of one turn have ", bytes, " bytes; at most ",
                                                      host_->options_.turn_bytes_max));
}

void Activation::TimeOut(Delivery* turn) {
  turn->time_limit_.reset();
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
    // An alarm handler that does not end has failed.
    AlarmTurn* const alarm = turn == alarm_turn_ ? alarm_turn_ : nullptr;
    if (alarm != nullptr) alarm->settled = true;
    const bool failed = alarm != nullptr && alarm->generation == alarm_generation_;
    Reset(why);
    if (failed) CommitAlarmFailure(std::nullopt);
  }
  pumping_ = false;
  Pump();
}

void Activation::Reset(const absl::Status& why) {
  state_ = State::kBroken;
  storage_.DropTurn();
  while (!turns_.empty()) {
    Delivery* const turn = turns_.back();
    Retire(turn);
    output_gate_.Pass(turn, why, last_batch_);
  }
  object_.reset();
  host_->Released(this);
}

void Activation::FailWaiting(const absl::Status& status) {
  while (Delivery* waiting = mailbox_.Pop()) {
    if (waiting == alarm_turn_) alarm_turn_ = nullptr;
    if (waiting == move_turn_) move_turn_ = nullptr;
    output_gate_.Pass(waiting, status, last_batch_);
  }
}

bool Activation::Passivate() {
  if (state_ != State::kActive || !turns_.empty() || !mailbox_.empty()) return false;
  state_ = State::kPassivating;
  object_.reset();
  host_->Released(this);
  host_->RemoveWhenDurable(this);
  return true;
}

bool Activation::removable() const {
  return object_ == nullptr && state_ != State::kLoading && mailbox_.empty() && turns_.empty() && !pumping_ &&
         !wants_family_ && last_batch_ <= host_->pipeline_.durable();
}

// --- Waiting for something else than storage.

void Activation::BeginWait(absl::Duration time, bool end_turn, std::coroutine_handle<> handler) {
  Delivery* const turn = input_gate_.holder();
  if (end_turn) {
    const size_t bytes = storage_.writes().bytes();
    if (bytes > host_->options_.turn_bytes_max) {
      // It is never resumed. Not here: the coroutine is still on the stack.
      host_->services_.executor->Post([this, turn, error = TurnTooLarge(bytes)] {
        // Unless a reset came first.
        if (input_gate_.holder() == turn) GiveUp(turn, error);
      });
      return;
    }
    if (storage_.wrote()) CommitTurn();
    if (turn->time_limit_) host_->services_.executor->Cancel(*turn->time_limit_);
    turn->time_limit_ = host_->services_.executor->At(host_->Now() + LimitOf(turn), [this, turn] { TimeOut(turn); });
  }
  // A load is a critical section: nothing else comes in before it ends.
  if (state_ == State::kActive && !storage_.wrote()) input_gate_.Leave();
  const auto timer = host_->services_.executor->At(host_->Now() + time, [this, handler, turn] {
    waits_.remove_if([&](const ActiveWait& wait) { return wait.handler == handler; });
    if (input_gate_.holder() == turn) {
      Continue(turn, handler);
    } else {
      input_gate_.Queue({turn, handler});
      Pump();
    }
  });
  waits_.push_back({handler, turn, timer});
}

void Activation::CancelWait(std::coroutine_handle<> handler) {
  for (const ActiveWait& wait : waits_) {
    if (wait.handler == handler) host_->services_.executor->Cancel(wait.timer);
  }
  waits_.remove_if([&](const ActiveWait& wait) { return wait.handler == handler; });
  input_gate_.Forget(handler);
}

// --- The coroutines of the runtime itself.

Task<absl::Status> Activation::Load() {
  header_.reset();
  alarm_.reset();
  header_changed_ = false;
  auto header_bytes = co_await ReadKey(&storage_, kHeaderKey);
  if (!header_bytes.ok()) co_return header_bytes.status();
  auto alarm_bytes = co_await ReadKey(&storage_, kAlarmKey);
  if (!alarm_bytes.ok()) co_return alarm_bytes.status();

  if (*header_bytes) {
    ObjectHeader header;
    if (!header.ParseFromString(**header_bytes)) co_return absl::DataLossError("the object's header is garbled");
    if (header.schema_version() > class_->schema_version()) {
      co_return Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER,
                      absl::StrCat(key_.DebugString(), " has schema version ", header.schema_version(),
                                   "; this server knows ", class_->schema_version()));
    }
    header_ = header;
  }
  if (*alarm_bytes) {
    AlarmRecord alarm;
    if (!alarm.ParseFromString(**alarm_bytes)) co_return absl::DataLossError("the object's alarm is garbled");
    alarm_ = alarm;
  }
  storage_.set_stored_alarm(alarm_ ? std::optional(absl::FromUnixMicros(alarm_->scheduled_time_us())) : std::nullopt);

  if (header_ && header_->schema_version() < class_->schema_version()) {
    for (const Migration& migration : class_->migrations) {
      if (migration.version <= header_->schema_version()) continue;
      absl::Status status = co_await migration.run(storage_, Now());
      if (!status.ok()) co_return status;
    }
    if (storage_.writes().bytes() > host_->options_.turn_bytes_max) {
      co_return QuotaExceeded("turn_bytes_max", "the migrations of one object write too much for one commit");
    }
    header_->set_schema_version(class_->schema_version());
    header_changed_ = true;
  }
  object_ = class_->make(this);
  co_return co_await object_->Load();
}

Task<absl::Status> Activation::RunAlarm(AlarmTurn* turn) {
  if (!alarm_ || host_->stopped_) co_return absl::OkStatus();
  if (absl::FromUnixMicros(alarm_->due_time_us()) > host_->Now()) {
    // Replaced by a later one, or the wall clock stepped back since it fired: it comes again.
    host_->alarms_.Added({alarm_->due_time_us(), key_.encoded()});
    co_return absl::OkStatus();
  }
  turn->ran = true;
  turn->generation = alarm_generation_;
  storage_.set_stored_alarm(std::nullopt);
  co_return co_await object_->OnAlarm({absl::FromUnixMicros(alarm_->scheduled_time_us()), alarm_->retry_count()});
}

Task<absl::Status> Activation::ReadAll(MoveTurn* turn) {
  if (!header_) co_return absl::NotFoundError("the object is gone");
  using Entries = std::vector<storage::Entry>;
  auto entries = co_await storage::Read<Entries>(
      &storage_, storage::KeyRange::All(), [](storage::View& view) -> absl::StatusOr<Entries> {
        Entries found;
        size_t bytes = 0;
        absl::Status status =
            view.Scan(storage::KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
              found.emplace_back(std::string(key), std::string(value));
              bytes += key.size() + value.size();
              return bytes <= kMoveBytesMax;
            });
        if (!status.ok()) return status;
        if (bytes > kMoveBytesMax) return absl::ResourceExhaustedError("too large to move in one turn");
        return found;
      });
  if (!entries.ok()) co_return entries.status();
  for (auto& [key, value] : *entries) {
    turn->removals.Delete(key);
    turn->copies.Put(key, std::move(value));
  }
  co_return absl::OkStatus();
}

// --- Commits.

void Activation::CreateHeader(WriteSet* catalog) {
  header_.emplace();
  header_->set_schema_version(class_->schema_version());
  header_->set_create_time_us(absl::ToUnixMicros(host_->Now()));
  header_changed_ = true;
  catalog->Put(key_.encoded(),
               storage::CatalogValue(placement_ ? placement_->generation : 0, header_->create_time_us()));
}

void Activation::StoreAlarm(const std::optional<AlarmRecord>& next, WriteSet* alarms) {
  if (alarm_) {
    const storage::AlarmEntry old{alarm_->due_time_us(), key_.encoded()};
    alarms->Delete(storage::AlarmIndexKey(old.due_us, old.object));
    host_->alarms_.Removed(old);
  }
  if (next) {
    const storage::AlarmEntry entry{next->due_time_us(), key_.encoded()};
    alarms->Put(storage::AlarmIndexKey(entry.due_us, entry.object), "");
    host_->alarms_.Added(entry);
    storage_.writes().Put(kAlarmKey, next->SerializeAsString());
  } else if (alarm_) {
    storage_.writes().Delete(kAlarmKey);
  }
  alarm_ = next;
  ++alarm_generation_;
  storage_.set_stored_alarm(next ? std::optional(absl::FromUnixMicros(next->scheduled_time_us())) : std::nullopt);
}

void Activation::Join(WriteSet* catalog, WriteSet* alarms) {
  if (header_ && clock_used_) {
    const int64_t now_us = absl::ToUnixMicros(last_now_);
    header_changed_ = header_changed_ || now_us > header_->clock_us();
    header_->set_clock_us(std::max(header_->clock_us(), now_us));
  }
  clock_used_ = false;
  if (std::exchange(header_changed_, false) && header_) {
    storage_.writes().Put(kHeaderKey, header_->SerializeAsString());
  }
  last_batch_ = host_->pipeline_.filling();
  host_->pipeline_.Join(keyspace_.get(), &storage_.writes());
  host_->pipeline_.Join(&host_->catalog_, catalog);
  host_->pipeline_.Join(&host_->alarm_index_, alarms);
  storage_.DropTurn();
}

void Activation::CommitTurn() {
  if (storage_.deleted_all()) {
    CommitDeletion();
    return;
  }
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  const bool alarm_changes = change && (change->time || alarm_);
  if (storage_.writes().empty() && !alarm_changes && !header_changed_) {
    storage_.DropTurn();
    return;
  }
  if (!header_) CreateHeader(&catalog);
  if (alarm_changes) {
    std::optional<AlarmRecord> next;
    if (change->time) {
      next.emplace();
      next->set_scheduled_time_us(absl::ToUnixMicros(*change->time));
      next->set_due_time_us(next->scheduled_time_us());
    }
    StoreAlarm(next, &alarms);
  }
  Join(&catalog, &alarms);
  host_->ConsiderFamily(this);
}

void Activation::CommitDeletion() {
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  std::optional<AlarmRecord> kept = alarm_;
  if (change) {
    kept.reset();
    if (change->time) {
      kept.emplace();
      kept->set_scheduled_time_us(absl::ToUnixMicros(*change->time));
      kept->set_due_time_us(kept->scheduled_time_us());
    }
  }
  // The turn may have written again after it deleted: then the object is a new one.
  const bool exists = kept || storage_.writes().has_values();
  if (!header_ && !exists) {
    storage_.DropTurn();
    return;
  }
  // A family of its own goes as a whole; what is kept is packed.
  std::optional<storage::Placement> left = std::exchange(placement_, std::nullopt);
  std::unique_ptr<storage::Keyspace> old;
  if (left) {
    if (move_batch_ > host_->pipeline_.durable()) {
      // What the move took away may still be in the store under the packed prefix.
      WriteSet writes;
      writes.DeleteRange(storage::KeyRange::All());
      writes.Merge(std::move(storage_.writes()));
      storage_.writes() = std::move(writes);
    }
    old = std::exchange(keyspace_, std::make_unique<storage::Keyspace>(PackedLocation(key_)));
    storage_.set_keyspace(keyspace_.get());
    host_->services_.families->Abandon(key_);
  }
  header_.reset();
  header_changed_ = false;
  if (exists) {
    CreateHeader(&catalog);
  } else {
    catalog.Delete(key_.encoded());
  }
  StoreAlarm(kept, &alarms);
  Join(&catalog, &alarms);
  if (left) {
    host_->pipeline_.WhenDurable(last_batch_, [host = host_, old = std::move(old), left](const absl::Status& status) {
      if (status.ok()) host->DropFamily(*left);
    });
  }
}

void Activation::CommitMove(MoveTurn* turn) {
  turn->moved = true;
  WriteSet catalog;
  catalog.Put(key_.encoded(), storage::CatalogValue(turn->placement.generation, header_->create_time_us()));
  auto old =
      std::exchange(keyspace_, std::make_unique<storage::Keyspace>(storage::Location{turn->placement.family, ""}));
  storage_.set_keyspace(keyspace_.get());
  placement_ = turn->placement;
  last_batch_ = host_->pipeline_.filling();
  move_batch_ = last_batch_;
  host_->pipeline_.Join(old.get(), &turn->removals);
  host_->pipeline_.Join(keyspace_.get(), &turn->copies);
  host_->pipeline_.Join(&host_->catalog_, &catalog);
  host_->services_.families->Adopt(key_, *placement_);
  // Until then batches name the old place.
  host_->pipeline_.WhenDurable(last_batch_, [old = std::move(old)](const absl::Status&) {});
}

void Activation::CommitAlarmFailure(const std::optional<storage::ObjectStorage::AlarmChange>& change) {
  if (change) {
    if (change->time) {
      storage_.SetAlarm(*change->time);
    } else {
      storage_.DeleteAlarm();
    }
    CommitTurn();
    return;
  }
  AlarmRecord next = *alarm_;
  next.set_retry_count(next.retry_count() + 1);
  WriteSet catalog;
  WriteSet alarms;
  if (class_->alarm_attempts_max > 0 && next.retry_count() >= class_->alarm_attempts_max) {
    Log(LogLevel::kError, "alarm_dropped",
        {{"object", key_.DebugString()}, {"attempts", absl::StrCat(next.retry_count())}});
    StoreAlarm(std::nullopt, &alarms);
  } else {
    next.set_due_time_us(absl::ToUnixMicros(host_->Now() + RetryDelay(next.retry_count(), random())));
    StoreAlarm(next, &alarms);
  }
  Join(&catalog, &alarms);
}

void Activation::CheckInvariants() const {
  const auto check = [](bool holds) {
    if (!holds) std::abort();
  };
  check((object_ != nullptr) == (state_ == State::kActive) || state_ == State::kLoading);
  check(input_gate_.open() || std::count(turns_.begin(), turns_.end(), input_gate_.holder()) == 1);
  check(!storage_.wrote() || !input_gate_.open());
  check(waits_.size() <= turns_.size());
  check(!wants_family_ || (!placement_ && move_turn_ == nullptr));
  check(in_lru_ == (object_ != nullptr && state_ == State::kActive));
}

}  // namespace holdfast::actors
