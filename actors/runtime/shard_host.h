// The shards of one executor, with the lane that their objects share: the commit pipeline, the alarms, the bound on
// memory, the families.
//
// Threading: the executor's thread, except for the constructor. Shutdown: Stop() ends the alarms; the owner then waits
// for idle() and runs the executor no more.

#ifndef HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
#define HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "actors/alarms/alarm_scheduler.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/object.h"
#include "actors/runtime/activation.h"
#include "actors/runtime/alarm_loads.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/fair_queue.h"
#include "actors/runtime/host_load.h"
#include "actors/runtime/lane.h"
#include "actors/runtime/object_description.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

// A shard is the unit of ownership: it owns the activations of its objects that are in memory. While a host runs it may
// gain shards and give them away.
struct Shard {
  // An activation has its key itself, so that the set needs no copy.
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(const storage::ObjectKey& key) const { return key.hash(); }
    size_t operator()(const std::unique_ptr<Activation>& activation) const { return activation->key().hash(); }
  };
  struct SameKey {
    using is_transparent = void;
    static const storage::ObjectKey& KeyOf(const storage::ObjectKey& key) { return key; }
    static const storage::ObjectKey& KeyOf(const std::unique_ptr<Activation>& activation) { return activation->key(); }
    bool operator()(const auto& a, const auto& b) const { return KeyOf(a) == KeyOf(b); }
  };

  absl::flat_hash_set<std::unique_ptr<Activation>, KeyHash, SameKey> activations;
  // While the shard is being given away: what is called at the end, whether nothing is in memory any more, and the end
  // of the time of its turns.
  absl::AnyInvocable<void()> left;
  bool ending = false;
  std::optional<Executor::TimerId> turns_end;
};

class ShardHost {
 public:
  ShardHost(HostServices services, const HostOptions& options);
  ~ShardHost();
  ShardHost(const ShardHost&) = delete;
  ShardHost& operator=(const ShardHost&) = delete;

  // Takes a shard over, before Start() or while the host runs. Nobody else may write to it any more.
  void Own(storage::ShardId shard);
  // Gives the shard away (shard_host_release.cc). From now on its requests end with WRONG_OWNER, those that wait too;
  // turns that have begun may go on for `turns_max`, and are then ended with OBJECT_RESET. `done` runs on the executor
  // once nothing of the shard is in memory, all of it is durable, and this host will write nothing to it any more.
  void Release(storage::ShardId shard, absl::Duration turns_max, absl::AnyInvocable<void()> done);
  // Returns whether the shard is here, and not being given away.
  bool Owns(storage::ShardId shard) const {
    const auto& slot = shards_[static_cast<size_t>(shard)];
    return slot != nullptr && slot->left == nullptr;
  }
  // Begins to fire alarms, to count and remove request records, and to place objects.
  void Start();
  // From now on no alarm begins, no object moves, and no idle object is passivated.
  void Stop();
  // Persists lagging headers; call after the last turn.
  void SettleHeaders();
  // Returns whether nothing runs, waits or is on its way to disk.
  bool idle() const;

  // Gives the delivery to its object, now or after others that wait (fair_queue.h), or ends it: SERVER_OVERLOADED,
  // MAILBOX_FULL, or CommitFailed() after a commit that failed or was refused.
  void Deliver(const storage::ObjectKey& key, const ObjectClass* object_class, Delivery* delivery);
  // Does the same with many deliveries. Those of one object begin in their order, each in a turn of its own; those of
  // different objects in no order. kGatheredMax of them at a time enter their mailboxes before the first begins.
  void Deliver(absl::Span<const Addressed> deliveries);
  static constexpr size_t kGatheredMax = 64;
  // Begins a commit at the end of a round of the executor.
  void OnRound() {
    fair_queue_.RoundDone();
    lane_.pipeline.Submit();
  }

  // Describes the durable state of an object without loading it or waiting for its turns; the rows of its SQL tables
  // are counted on another thread. `done` runs on this executor. Errors: DATA_LOSS if the object is damaged,
  // CommitFailed() after a commit that failed or was refused, LeaseEnded(), and those of ReadDurable
  // (storage/sql/durable_database.h).
  void Describe(const storage::ObjectKey& key, const ObjectClass* object_class,
                absl::AnyInvocable<void(absl::StatusOr<ObjectDescription>)> done);
  // Passivates the object as soon as none of its turns is in progress.
  void PassivateSoon(const storage::ObjectKey& key);
  // There may be a watcher for alarms that found none: a new one, whose filter is `added`, or one that is free again.
  void OnAlarmClients(const std::optional<AlarmWatchers::Filter>& added) { lane_.alarms.OnClients(added); }

  // Returns the environment in which the SQL of the objects runs.
  const storage::sql::Environment& sql() const { return lane_.sql; }
  // Returns the activation of an object; null if the object is not in memory.
  const Activation* Find(const storage::ObjectKey& key) const;
  size_t activation_count() const { return lane_.residency.count(); }
  size_t activation_bytes() const { return lane_.residency.bytes(); }
  HostLoad load() const;
  // Returns how many requests and alarms have reached objects of the shard here. Any thread.
  uint64_t turns_of(storage::ShardId shard) const {
    return turns_[static_cast<size_t>(shard)].load(std::memory_order_relaxed);
  }
  HotObjects& hot() { return lane_.hot; }
  void CheckInvariants() const;

 private:
  struct Reading;

  void DeliverNow(absl::Span<const Addressed> deliveries);
  void RefuseWaiting(const Addressed& addressed, FairQueue::Refusal why) const;
  void RefuseOverloaded(const Addressed& addressed, absl::string_view why) const;
  void Refuse(const Addressed& addressed, const absl::Status& why) const;
  // Ends the delivery and returns true if its shard is not here, or the commit pipeline takes no more writes.
  bool RefusedAtOnce(const Addressed& addressed);
  // Also tells alarm_loads_ of an activation that it makes.
  Activation* GetOrCreate(const storage::ObjectKey& key, const ObjectClass* object_class);
  Shard& ShardOf(const storage::ObjectKey& key) { return *shards_[static_cast<size_t>(key.shard())]; }
  void CountTurn(const storage::ObjectKey& key) {
    auto& turns = turns_[static_cast<size_t>(key.shard())];
    turns.store(turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // Steps of Describe (shard_host_describe.cc).
  uint64_t GenerationOf(const storage::ObjectKey& key) const;
  void DescribeRead(std::shared_ptr<Reading> reading);
  void DescribeTablesOf(std::shared_ptr<Reading> reading);
  void Tell(Reading& reading, const absl::Status& status) const;
  AlarmScheduler::Fired FireAlarm(const std::string& encoded_id);
  // Ends the shard that is being given away if nothing of it is left in memory.
  void CheckReleased(storage::ShardId shard);

  // Returns the activation of an object; null if the object is not in memory.
  Activation* ActivationOf(const storage::ObjectKey& key);
  // Returns the activation of an object, made if there is none; null if this server does not know the object's class.
  Activation* Bring(const storage::ObjectKey& key);
  void Remove(const storage::ObjectKey& key);

  Lane lane_;  // outlives the activations
  FairQueue fair_queue_;
  bool started_ = false;
  std::array<std::unique_ptr<Shard>, storage::kShardCount> shards_;
  std::array<std::atomic<uint64_t>, storage::kShardCount> turns_ = {};  // the executor alone writes them
  AlarmLoads alarm_loads_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
