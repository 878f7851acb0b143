#include "actors/shard_host.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/errors.h"
#include "storage/log.h"

namespace holdfast::actors {
namespace {

using storage::FamilyId;

// What an activation costs beyond its instance: the map, the mailbox, the keys.
constexpr size_t kActivationBytes = 3 << 10;
// The idle are looked for at most so often, so that one timer serves many.
constexpr absl::Duration kIdleStep = absl::Milliseconds(100);

}  // namespace

ShardHost::ShardHost(HostServices services, const HostOptions& options)
    : services_(std::move(services)),
      options_(options),
      pipeline_(services_.store, services_.commits, std::move(services_.on_commit_failure)),
      catalog_({FamilyId::kCatalog, ""}),
      alarm_index_({FamilyId::kAlarms, ""}),
      alarms_(
          services_.executor, services_.store, services_.reads, &alarm_index_, options.alarms,
          [this](const std::string& object) { FireAlarm(object); },
          [this](const std::string& object) { return Owns(storage::ObjectKey::FromEncoded(object).shard()); }) {}

ShardHost::~ShardHost() = default;

void ShardHost::Own(storage::ShardId shard) {
  auto& slot = shards_[static_cast<size_t>(shard)];
  slot = std::make_unique<Shard>();
  slot->id = shard;
}

void ShardHost::Start() { alarms_.Start(); }

void ShardHost::Stop() {
  stopped_ = true;
  alarms_.Stop();
  if (idle_timer_) services_.executor->Cancel(*idle_timer_);
  idle_timer_.reset();
}

bool ShardHost::idle() const {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& [key, activation] : shard->activations) {
      if (!activation->turns_.empty() || !activation->mailbox_.empty()) return false;
    }
  }
  return pipeline_.idle() && alarms_.idle() && family_changes_under_way_ == 0;
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

void ShardHost::FireAlarm(const std::string& encoded_id) {
  const auto key = storage::ObjectKey::FromEncoded(encoded_id);
  storage::ObjectId id;
  const ObjectClass* object_class = key.Decode(&id) ? services_.classes->Find(id.object_class) : nullptr;
  if (object_class == nullptr) {
    Log(LogLevel::kError, "alarm_of_unknown_class", {{"object", key.DebugString()}});
    alarms_.Ended(encoded_id, false);
    return;
  }
  // Not more work than the disk keeps up with.
  if (pipeline_.failed() || pipeline_.pending_bytes() > options_.pipeline_bytes_max) {
    alarms_.Ended(encoded_id, true);
    return;
  }
  GetOrCreate(key, object_class)->DeliverAlarm();
}

void ShardHost::Touch(Activation* activation) {
  activation->last_used_ = Now();
  if (activation->in_lru_) {
    lru_.splice(lru_.end(), lru_, activation->lru_position_);
  } else {
    activation->lru_position_ = lru_.insert(lru_.end(), activation);
    activation->in_lru_ = true;
  }
  const size_t bytes = kActivationBytes + activation->key_.encoded().size() + activation->object_->MemoryBytes();
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
  const absl::Time due = std::max(lru_.front()->last_used_ + options_.idle_timeout, Now() + kIdleStep);
  idle_timer_ = services_.executor->At(due, [this] {
    idle_timer_.reset();
    PassivateIdle();
    SetIdleTimer();
  });
}

void ShardHost::PassivateIdle() {
  const absl::Time idle_since = Now() - options_.idle_timeout;
  for (auto it = lru_.begin(); it != lru_.end() && (*it)->last_used_ <= idle_since;) {
    Activation* const activation = *it++;
    if (activation->Passivate()) continue;
    // Busy for longer than the timeout: it has been used until now.
    activation->last_used_ = Now();
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
  if (!activation->packed() || activation->wants_family_ || activation->family_refused_ ||
      activation->move_turn_ != nullptr || !families->has_room() || stopped_ || !families->Reserve()) {
    return;
  }
  activation->wants_family_ = true;  // keeps it in memory
  auto made = std::make_shared<absl::StatusOr<storage::Placement>>(absl::UnknownError("not made"));
  ++family_changes_under_way_;
  services_.family_changes->Run(
      [families, key = activation->key_, made] { *made = families->Create(key); },
      [this, activation, made] {
        --family_changes_under_way_;
        if (made->ok()) {
          activation->MoveTo(**made);
          return;
        }
        Log(LogLevel::kWarning, "family_not_created",
            {{"object", activation->key_.DebugString()}, {"status", made->status().ToString()}});
        activation->wants_family_ = false;
        activation->family_refused_ = true;
        if (activation->removable()) RemoveWhenDurable(activation);
      });
}

void ShardHost::DropFamily(const storage::Placement& placement) {
  auto status = std::make_shared<absl::Status>();
  ++family_changes_under_way_;
  services_.family_changes->Run(
      [families = services_.families, placement, status] { *status = families->Drop(placement); },
      [this, status] {
        --family_changes_under_way_;
        if (!status->ok()) Log(LogLevel::kWarning, "family_not_dropped", {{"status", status->ToString()}});
      });
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
