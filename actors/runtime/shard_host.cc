#include "actors/runtime/shard_host.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "storage/base/check.h"
#include "storage/base/log.h"

namespace holdfast::actors {

ShardHost::ShardHost(HostServices services, const HostOptions& options)
    : lane_(std::move(services), options,
            {.fire_alarm = [this](const std::string& object) { return FireAlarm(object); },
             .owns = [this](storage::ShardId shard) { return Owns(shard); },
             .find = [this](const storage::ObjectKey& key) { return ActivationOf(key); },
             .bring = [this](const storage::ObjectKey& key) { return Bring(key); },
             .remove = [this](const storage::ObjectKey& key) { Remove(key); }}),
      fair_queue_(
          lane_.services.executor,
          {.waiting_max = options.waiting_requests_max, .waiting_time_max = options.waiting_time_max},
          [this](absl::Span<const Addressed> requests) { DeliverNow(requests); },
          [this](const Addressed& request, FairQueue::Refusal why) { RefuseWaiting(request, why); }),
      alarm_loads_(
          lane_.services.executor, lane_.services.store, lane_.services.reads, options.alarms.together_min,
          [this](AlarmLoads::Alarm alarm, std::unique_ptr<const storage::Preread> preread) {
            if (!Owns(alarm.key.shard())) {
              lane_.alarms.Ended(alarm.key.encoded(), AlarmScheduler::End::kSettled);
              return;
            }
            GetOrCreate(alarm.key, alarm.object_class)->DeliverAlarm(std::move(alarm.claim), std::move(preread));
          }) {}

ShardHost::~ShardHost() = default;

void ShardHost::Own(storage::ShardId shard) {
  auto& slot = shards_[static_cast<size_t>(shard)];
  HOLDFAST_CHECK(slot == nullptr, absl::StrCat("shard ", static_cast<int>(shard)));
  slot = std::make_unique<Shard>();
  if (!started_) return;
  for (const storage::ObjectKey& key : lane_.services.families->List()) {
    if (key.shard() == shard) lane_.placement.Add(key);
  }
  lane_.alarms.OwnershipChanged();
  lane_.records.Gained(shard);
}

void ShardHost::Start() {
  started_ = true;
  for (const storage::ObjectKey& key : lane_.services.families->List()) {
    if (Owns(key.shard())) lane_.placement.Add(key);
  }
  lane_.alarms.Start();
  lane_.records.Start();
}

void ShardHost::Stop() { lane_.Stop(); }

void ShardHost::SettleHeaders() {
  for (Activation* const activation : lane_.residency.activations()) activation->SettleHeader();
}

bool ShardHost::idle() const {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& activation : shard->activations) {
      if (activation->busy()) return false;
    }
  }
  return fair_queue_.idle() && lane_.pipeline.idle() && lane_.alarms.idle() && lane_.records.idle() &&
         lane_.placement.idle();
}

HostLoad ShardHost::load() const {
  return {.active_objects = lane_.residency.count(),
          .active_object_bytes = lane_.residency.bytes(),
          .pending_commit_bytes = lane_.pipeline.pending_bytes(),
          .request_records = lane_.records.count(),
          .request_record_bytes = lane_.records.bytes(),
          .alarms = lane_.alarms.load()};
}

void ShardHost::Deliver(const storage::ObjectKey& key, const ObjectClass* object_class, Delivery* delivery) {
  const Addressed addressed = {&key, object_class, delivery};
  fair_queue_.Add({&addressed, 1});
}

void ShardHost::DeliverNow(absl::Span<const Addressed> deliveries) {
  if (deliveries.size() == 1) {
    const Addressed& one = deliveries.front();
    if (RefusedAtOnce(one)) return;
    CountTurn(*one.key);
    GetOrCreate(*one.key, one.object_class)->Deliver(one.delivery);
    return;
  }
  for (; !deliveries.empty(); deliveries.remove_prefix(std::min(deliveries.size(), kGatheredMax))) {
    std::array<Activation*, kGatheredMax> gathered;
    size_t count = 0;
    for (const Addressed& one : deliveries.subspan(0, kGatheredMax)) {
      if (RefusedAtOnce(one)) continue;
      CountTurn(*one.key);
      Activation* const activation = GetOrCreate(*one.key, one.object_class);
      if (activation->Gather(one.delivery)) gathered[count++] = activation;
    }
    for (size_t i = 0; i < count; ++i) gathered[i]->RunGathered();
  }
}

void ShardHost::Deliver(absl::Span<const Addressed> deliveries) { fair_queue_.Add(deliveries); }

bool ShardHost::RefusedAtOnce(const Addressed& addressed) {
  if (!Owns(addressed.key->shard())) {
    Refuse(addressed, WrongOwner());
    return true;
  }
  if (lane_.pipeline.failed()) {
    addressed.delivery->Done(CommitFailed(lane_.pipeline.failure()));
    return true;
  }
  if (lane_.pipeline.pending_bytes() <= lane_.options.pipeline_bytes_max) return false;
  RefuseOverloaded(addressed, "too many writes wait for the disk");
  return true;
}

void ShardHost::RefuseWaiting(const Addressed& addressed, FairQueue::Refusal why) const {
  switch (why) {
    case FairQueue::Refusal::kTooMany:
      return RefuseOverloaded(addressed, "too many requests wait (actors.waiting_requests_max)");
    case FairQueue::Refusal::kTooLong:
      return RefuseOverloaded(addressed, "requests of the namespace wait for too long (actors.waiting_time_max_ms)");
    case FairQueue::Refusal::kDeadlinePassed:
      return Refuse(addressed, DeadlinePassed());
  }
}

void ShardHost::RefuseOverloaded(const Addressed& addressed, absl::string_view why) const {
  Refuse(addressed, Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED, why,
                              absl::Milliseconds(100)));
}

void ShardHost::Refuse(const Addressed& addressed, const absl::Status& why) const {
  if (storage::Observer* const observer = lane_.services.observer) {
    observer->RequestRefused(addressed.object_class->name, why);
  }
  addressed.delivery->Done(why);
}

Activation* ShardHost::GetOrCreate(const storage::ObjectKey& key, const ObjectClass* object_class) {
  auto& activations = ShardOf(key).activations;
  if (const auto found = activations.find(key); found != activations.end()) return found->get();
  alarm_loads_.Touched(key);
  return activations.insert(std::make_unique<Activation>(key, object_class, &lane_)).first->get();
}

const Activation* ShardHost::Find(const storage::ObjectKey& key) const {
  const auto& shard = shards_[static_cast<size_t>(key.shard())];
  if (shard == nullptr) return nullptr;
  auto it = shard->activations.find(key);
  return it == shard->activations.end() ? nullptr : it->get();
}

AlarmScheduler::Fired ShardHost::FireAlarm(const std::string& encoded_id) {
  using Fired = AlarmScheduler::Fired;
  const auto key = storage::ObjectKey::FromEncoded(encoded_id);
  if (!Owns(key.shard())) {
    lane_.alarms.Ended(encoded_id, AlarmScheduler::End::kSettled);
    return Fired::kBegun;
  }
  storage::ObjectId id;
  const ObjectClass* object_class = key.Decode(&id) ? lane_.services.classes->Find(id.object_class) : nullptr;
  if (object_class == nullptr) {
    Log(LogLevel::kError, "alarm_of_unknown_class", {{"object", key.DebugString()}});
    lane_.alarms.Ended(encoded_id, AlarmScheduler::End::kSettled);
    return Fired::kBegun;
  }
  if (!lane_.services.families->CheckPlace(key).ok()) {
    // The object cannot load in this run of the server. The alarm stays in the index.
    Log(LogLevel::kError, "alarm_of_damaged_object", {{"object", key.DebugString()}});
    lane_.alarms.Ended(encoded_id, AlarmScheduler::End::kSettled);
    return Fired::kBegun;
  }
  // Only alarms for which there are places are loaded, however many are due.
  std::optional<AlarmWatchers::Claim> claim;
  if (object_class->alarms_for_watchers &&
      lane_.services.watchers->TakePlace(id, /*avoided=*/0, &claim) != AlarmWatchers::Place::kTaken) {
    const AlarmWatchers::Match match = lane_.services.watchers->Find(id);
    if (match == AlarmWatchers::Match::kNone) return Fired::kNobody;
    if (match == AlarmWatchers::Match::kFull) return Fired::kAllBusy;
  }
  // Alarms wait while the disk is full or does not keep up.
  if (lane_.pipeline.failed() || lane_.services.store->DiskFull() || lane_.services.store->Overloaded() ||
      lane_.pipeline.pending_bytes() > lane_.options.pipeline_bytes_max) {
    lane_.alarms.Ended(encoded_id, AlarmScheduler::End::kNotBegun);
    return Fired::kBegun;
  }
  CountTurn(key);
  if (Activation* const activation = ActivationOf(key)) {
    activation->DeliverAlarm(std::move(claim), nullptr);
  } else if (lane_.services.families->Find(key)) {
    GetOrCreate(key, object_class)->DeliverAlarm(std::move(claim), nullptr);
  } else {
    alarm_loads_.Add({key, object_class, std::move(claim)});
  }
  return Fired::kBegun;
}

Activation* ShardHost::ActivationOf(const storage::ObjectKey& key) { return const_cast<Activation*>(Find(key)); }

Activation* ShardHost::Bring(const storage::ObjectKey& key) {
  if (!Owns(key.shard())) return nullptr;
  storage::ObjectId id;
  const ObjectClass* const object_class = key.Decode(&id) ? lane_.services.classes->Find(id.object_class) : nullptr;
  return object_class == nullptr ? nullptr : GetOrCreate(key, object_class);
}

void ShardHost::Remove(const storage::ObjectKey& key) {
  const auto& shard = shards_[static_cast<size_t>(key.shard())];
  if (shard == nullptr) return;
  const auto it = shard->activations.find(key);
  if (it == shard->activations.end() || !(*it)->removable()) return;
  shard->activations.erase(it);
  if (shard->left != nullptr) CheckReleased(key.shard());
}

void ShardHost::PassivateSoon(const storage::ObjectKey& key) {
  if (Activation* const activation = ActivationOf(key)) activation->PassivateSoon();
}

void ShardHost::CheckInvariants() const {
  size_t active = 0;
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& activation : shard->activations) {
      activation->CheckInvariants();
      if (activation->seat().taken()) ++active;
    }
  }
  HOLDFAST_CHECK(active == lane_.residency.count(),
                 absl::StrCat(active, " active objects, of which residency counts ", lane_.residency.count()));
}

}  // namespace holdfast::actors
