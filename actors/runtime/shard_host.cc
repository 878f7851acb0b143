#include "actors/runtime/shard_host.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "storage/base/log.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

using storage::FamilyId;

// What an activation costs beyond its instance: the map, the mailbox, the keys.
constexpr size_t kActivationBytes = 3 << 10;
// The idle are looked for at most so often, so that one timer serves many.
constexpr absl::Duration kIdleStep = absl::Milliseconds(100);

// While there are families for all, whatever is written gets one. Beyond, what is so large or was written so often
// since it was loaded gets that of one that is small and not in memory; so many of those are looked at, so often.
constexpr int64_t kLargeBytes = 1 << 20;
constexpr int kBusyCommits = 1000;
constexpr size_t kPackLookMax = 64;
constexpr absl::Duration kPackStep = absl::Milliseconds(20);
// Between two drops of families whose objects have ceased to exist by themselves.
constexpr absl::Duration kLeftStep = absl::Milliseconds(100);
// Packing that came to nothing is tried again after this: a read that failed, and an object that was too large, which
// seldom becomes small and costs a read of its first part.
constexpr absl::Duration kPackAgain = absl::Minutes(1);
constexpr absl::Duration kPackLargeAgain = absl::Minutes(10);

}  // namespace

ShardHost::ShardHost(HostServices services, const HostOptions& options)
    : services_(std::move(services)),
      options_(options),
      sql_({.fair_workers = services_.sql_workers,
            .workers = services_.sql,
            .now = [clock = &services_.executor->clock()] { return clock->Wall(); },
            .steady = [clock = &services_.executor->clock()] { return clock->Steady(); },
            .limits = options.sql,
            .turn_bytes_max = options.turn_bytes_max,
            .heap_total = services_.sql_heap_total,
            .temp_space = services_.sql_temp_space}),
      pipeline_(services_.store, services_.commits, std::move(services_.on_commit_failure), options.inline_commit_max),
      catalog_({FamilyId::kCatalog, ""}),
      alarm_index_({FamilyId::kAlarms, ""}),
      node_({FamilyId::kNode, ""}),
      run_(services_.run_clocks->Begin()),
      run_clock_key_(storage::RunClockKey(run_)),
      records_(services_.executor, services_.store, services_.reads, &pipeline_, options.records,
               [this](storage::ShardId shard) { return Owns(shard); }),
      alarms_(
          services_.executor, services_.store, services_.reads, &alarm_index_, options.alarms,
          [this](const std::string& object) { return FireAlarm(object); },
          [this](const std::string& object) { return Owns(storage::ObjectKey::FromEncoded(object).shard()); }) {}

ShardHost::~ShardHost() = default;

void ShardHost::Own(storage::ShardId shard) {
  auto& slot = shards_[static_cast<size_t>(shard)];
  slot = std::make_unique<Shard>();
  slot->id = shard;
}

void ShardHost::Start() {
  for (const storage::ObjectKey& key : services_.families->List()) {
    if (Owns(key.shard())) placed_.push_back(key);
  }
  alarms_.Start();
  records_.Start();
}

void ShardHost::Stop() {
  stopped_ = true;
  alarms_.Stop();
  records_.Stop();
  if (idle_timer_) services_.executor->Cancel(*idle_timer_);
  idle_timer_.reset();
  if (left_timer_) services_.executor->Cancel(*left_timer_);
  left_timer_.reset();
}

void ShardHost::SettleHeaders() {
  for (Activation* const activation : lru_) activation->SettleHeader();
}

bool ShardHost::idle() const {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& [key, activation] : shard->activations) {
      if (!activation->turns_.empty() || !activation->mailbox_.empty()) return false;
    }
  }
  return pipeline_.idle() && alarms_.idle() && records_.idle() && family_changes_under_way_ == 0;
}

void ShardHost::Deliver(const storage::ObjectKey& key, const ObjectClass* object_class, Delivery* delivery) {
  if (pipeline_.failed()) {
    delivery->Done(OutcomeUnknown());
    return;
  }
  if (pipeline_.pending_bytes() > options_.pipeline_bytes_max) {
    delivery->Done(Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                             "too many writes wait for the disk", absl::Milliseconds(100)));
    return;
  }
  GetOrCreate(key, object_class)->Deliver(delivery);
}

Activation* ShardHost::GetOrCreate(const storage::ObjectKey& key, const ObjectClass* object_class) {
  auto& slot = ShardOf(key).activations[key];
  if (slot == nullptr) slot = std::make_unique<Activation>(key, object_class, this);
  return slot.get();
}

const Activation* ShardHost::Find(const storage::ObjectKey& key) const {
  const auto& shard = shards_[static_cast<size_t>(key.shard())];
  if (shard == nullptr) return nullptr;
  auto it = shard->activations.find(key);
  return it == shard->activations.end() ? nullptr : it->second.get();
}

AlarmScheduler::Fired ShardHost::FireAlarm(const std::string& encoded_id) {
  using Fired = AlarmScheduler::Fired;
  const auto key = storage::ObjectKey::FromEncoded(encoded_id);
  storage::ObjectId id;
  const ObjectClass* object_class = key.Decode(&id) ? services_.classes->Find(id.object_class) : nullptr;
  if (object_class == nullptr) {
    Log(LogLevel::kError, "alarm_of_unknown_class", {{"object", key.DebugString()}});
    alarms_.Ended(encoded_id, AlarmScheduler::End::kSettled);
    return Fired::kBegun;
  }
  if (object_class->for_clients) {
    const AlarmWatchers::Match match = services_.watchers->Find(id);
    if (match == AlarmWatchers::Match::kNone) return Fired::kNobody;
    if (match == AlarmWatchers::Match::kFull) return Fired::kAllBusy;
  }
  // Not more work than the disk keeps up with, or takes.
  if (pipeline_.failed() || services_.store->DiskFull() || pipeline_.pending_bytes() > options_.pipeline_bytes_max) {
    alarms_.Ended(encoded_id, AlarmScheduler::End::kNotBegun);
    return Fired::kBegun;
  }
  GetOrCreate(key, object_class)->DeliverAlarm();
  return Fired::kBegun;
}

int64_t ShardHost::RunClock(storage::RunNumber run) const {
  return run == run_ ? run_clock_us_ : services_.run_clocks->Of(run);
}

void ShardHost::NoteClock(absl::Time reading) {
  run_clock_us_ = std::max(run_clock_us_, absl::ToUnixMicros(reading));
  storage::WriteSet writes;
  writes.Put(run_clock_key_, storage::RunClockValue(run_clock_us_));
  pipeline_.Join(&node_, &writes);
}

void ShardHost::Touch(Activation* activation) {
  activation->last_used_ = clock().Steady();
  if (activation->in_lru_) {
    lru_.splice(lru_.end(), lru_, activation->lru_position_);
  } else {
    activation->lru_position_ = lru_.insert(lru_.end(), activation);
    activation->in_lru_ = true;
  }
  const size_t bytes = kActivationBytes + activation->key_.encoded().size() + activation->object_->MemoryBytes() +
                       activation->storage_.MemoryBytes();
  activation_bytes_ += bytes - activation->counted_bytes_;
  activation->counted_bytes_ = bytes;
  if (activation_bytes_ > options_.activation_bytes_max) ShrinkToBudget(activation);
  if (!idle_timer_) SetIdleTimer();
}

void ShardHost::Released(Activation* activation) {
  if (!activation->in_lru_) return;
  lru_.erase(activation->lru_position_);
  activation->in_lru_ = false;
  activation_bytes_ -= std::exchange(activation->counted_bytes_, 0);
}

void ShardHost::RemoveWhenDurable(Activation* activation) {
  // Never at once: the activation may be at work further up the stack.
  const auto remove = [this, key = activation->key_] {
    auto& activations = ShardOf(key).activations;
    auto it = activations.find(key);
    if (it != activations.end() && it->second->removable()) activations.erase(it);
  };
  if (activation->last_batch_ <= pipeline_.durable()) {
    services_.executor->Post(remove);
  } else {
    pipeline_.WhenDurable(activation->last_batch_, [this, remove](const absl::Status& status) {
      if (status.ok()) services_.executor->Post(remove);
    });
  }
}

void ShardHost::SetIdleTimer() {
  if (stopped_ || lru_.empty()) return;
  const absl::Time due = std::max(lru_.front()->last_used_ + options_.idle_timeout, clock().Steady() + kIdleStep);
  idle_timer_ = services_.executor->At(due, [this] {
    idle_timer_.reset();
    PassivateIdle();
    SetIdleTimer();
  });
}

void ShardHost::PassivateIdle() {
  const absl::Time idle_since = clock().Steady() - options_.idle_timeout;
  for (auto it = lru_.begin(); it != lru_.end() && (*it)->last_used_ <= idle_since;) {
    Activation* const activation = *it++;
    if (activation->Passivate()) continue;
    // Busy for longer than the timeout: it has been used until now.
    activation->last_used_ = clock().Steady();
    lru_.splice(lru_.end(), lru_, activation->lru_position_);
  }
}

void ShardHost::ShrinkToBudget(const Activation* keep) {
  // Looks at so many that are busy before it gives up until the next turn.
  int busy_max = 16;
  for (auto it = lru_.begin(); it != lru_.end() && activation_bytes_ > options_.activation_bytes_max && busy_max > 0;) {
    Activation* const activation = *it++;
    if (activation == keep || !activation->Passivate()) --busy_max;
  }
}

void ShardHost::ConsiderFamily(Activation* activation) {
  storage::Families* const families = services_.families;
  if (!activation->WantsFamily() || stopped_ || services_.store->DiskFull()) return;
  if (families->has_room() && families->Reserve()) {
    GiveFamily(activation);
    return;
  }
  const bool large = activation->header_ && activation->header_->usage().size_bytes() >= kLargeBytes;
  if (large || activation->commits_ >= kBusyCommits) PackOneFor(activation);
}

void ShardHost::GiveFamily(Activation* activation) {
  activation->wants_family_ = true;  // keeps it in memory
  auto made = std::make_shared<absl::StatusOr<storage::Placement>>(absl::UnknownError("not made"));
  ++family_changes_under_way_;
  services_.family_changes->Run(
      [families = services_.families, key = activation->key_, made] { *made = families->Create(key); },
      [this, activation, made] {
        --family_changes_under_way_;
        if (made->ok()) {
          activation->BeginMove(**made);
          return;
        }
        Log(LogLevel::kWarning, "family_not_created",
            {{"object", activation->key_.DebugString()}, {"status", made->status().ToString()}});
        activation->FamilyRefused();
      });
}

void ShardHost::PackOneFor(const Activation* activation) {
  const absl::Time now = clock().Steady();
  if (packing_ || now < packed_time_ + kPackStep) return;
  packed_time_ = now;
  while (!not_packed_.empty() && not_packed_.begin()->first <= now) {
    placed_.push_back(std::move(not_packed_.begin()->second));
    not_packed_.erase(not_packed_.begin());
  }
  for (size_t left = std::min(placed_.size(), kPackLookMax); left > 0; --left) {
    storage::ObjectKey key = std::move(placed_.front());
    placed_.pop_front();
    storage::ObjectId id;
    const ObjectClass* object_class = key.Decode(&id) ? services_.classes->Find(id.object_class) : nullptr;
    // Deleted or moved meanwhile; or no class of this server.
    if (!services_.families->Find(key) || object_class == nullptr) continue;
    if (Find(key) != nullptr) {  // in use
      placed_.push_back(std::move(key));
      continue;
    }
    packing_ = Packing{key, activation->key_, std::nullopt};
    GetOrCreate(key, object_class)->BeginMove(std::nullopt);
    return;
  }
}

void ShardHost::Moved(Activation* activation, MoveEnd end, const std::optional<storage::Placement>& left) {
  if (packing_ && packing_->object == activation->key_) {
    if (end == MoveEnd::kDone && left) {
      packing_->left = left;
      return;
    }
    packing_.reset();
    // It keeps its family for now. One that was deleted meanwhile has none, which is seen when its turn comes.
    const absl::Duration again = end == MoveEnd::kTooLarge ? kPackLargeAgain : kPackAgain;
    not_packed_.emplace(clock().Steady() + again, activation->key_);
    return;
  }
  if (end != MoveEnd::kDone || activation->packed()) return;
  placed_.push_back(activation->key_);
  // Those deleted meanwhile are still in it, and those made anew twice.
  if (placed_.size() <= 2 * static_cast<size_t>(services_.families->count()) + kPackLookMax) return;
  absl::flat_hash_set<std::string> seen;
  std::erase_if(placed_, [&](const storage::ObjectKey& key) {
    return !services_.families->Find(key) || !seen.insert(key.encoded()).second;
  });
}

void ShardHost::DropFamilySoon(const storage::Placement& placement) {
  left_families_.push_back(placement);
  if (!left_timer_) DropNextLeft();
}

void ShardHost::DropNextLeft() {
  if (stopped_ || left_families_.empty()) return;
  DropFamily(left_families_.front());
  left_families_.pop_front();
  left_timer_ = services_.executor->After(kLeftStep, [this] {
    left_timer_.reset();
    DropNextLeft();
  });
}

void ShardHost::DropFamily(const storage::Placement& placement) {
  // Its room is another's already, who could not be sure of it otherwise.
  std::optional<storage::ObjectKey> room_for;
  if (packing_ && packing_->left && packing_->left->generation == placement.generation) {
    room_for = packing_->room_for;
    packing_.reset();
  }
  auto status = std::make_shared<absl::Status>();
  ++family_changes_under_way_;
  services_.family_changes->Run([families = services_.families, placement, status,
                                 keep = room_for.has_value()] { *status = families->Drop(placement, keep); },
                                [this, status, room_for] {
                                  --family_changes_under_way_;
                                  if (!status->ok())
                                    Log(LogLevel::kWarning, "family_not_dropped", {{"status", status->ToString()}});
                                  if (!room_for) return;
                                  auto& activations = ShardOf(*room_for).activations;
                                  const auto it = activations.find(*room_for);
                                  if (it == activations.end() || !it->second->WantsFamily() || stopped_) {
                                    services_.families->CancelReservation();
                                  } else {
                                    GiveFamily(it->second.get());
                                  }
                                });
}

void ShardHost::PassivateSoon(const storage::ObjectKey& key) {
  auto& activations = ShardOf(key).activations;
  if (auto it = activations.find(key); it != activations.end()) it->second->PassivateSoon();
}

void ShardHost::CheckInvariants() const {
  size_t active = 0;
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& [key, activation] : shard->activations) {
      activation->CheckInvariants();
      if (activation->in_lru_) ++active;
    }
  }
  if (active != lru_.size()) std::abort();
}

}  // namespace holdfast::actors
