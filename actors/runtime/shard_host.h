// The shards of one executor, and what their objects share: the commit pipeline, the alarms, the bound on memory, the
// families.
//
// Threading: the executor's thread, but for the constructor. Shutdown: Stop() ends the alarms, then the owner waits
// until idle() and runs the executor no more.

#ifndef HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
#define HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "actors/alarms/alarm_scheduler.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/object.h"
#include "actors/runtime/activation.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/lane.h"
#include "actors/runtime/object_description.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

// The objects of one shard that are in memory. The unit of ownership.
struct Shard {
  struct KeyHash {
    size_t operator()(const storage::ObjectKey& key) const { return key.hash(); }
  };

  absl::flat_hash_map<storage::ObjectKey, std::unique_ptr<Activation>, KeyHash> activations;
};

class ShardHost {
 public:
  ShardHost(HostServices services, const HostOptions& options);
  ~ShardHost();
  ShardHost(const ShardHost&) = delete;
  ShardHost& operator=(const ShardHost&) = delete;

  // Before it starts: takes a shard over.
  void Own(storage::ShardId shard);
  bool Owns(storage::ShardId shard) const { return shards_[static_cast<size_t>(shard)] != nullptr; }
  // Begins to run alarms.
  void Start();
  // No alarm begins any more.
  void Stop();
  // When no more turns come: stores what headers of objects in memory are behind with.
  void SettleHeaders();
  // Nothing runs, waits or is on its way to disk.
  bool idle() const;

  // Takes the delivery to its object, or tells it why not (SERVER_OVERLOADED, MAILBOX_FULL).
  void Deliver(const storage::ObjectKey& key, const ObjectClass* object_class, Delivery* delivery);
  // The end of a round of the executor: begins a commit.
  void OnRound() { lane_.pipeline.Submit(); }

  // What is known of an object, durably. It does not load the object and waits for no turn of it; the tables of a SQL
  // database are counted beside them. `done` comes on this executor. DATA_LOSS where it is damaged; those of
  // ReadDurable (storage/sql/durable_database.h).
  void Describe(const storage::ObjectKey& key, const ObjectClass* object_class,
                absl::AnyInvocable<void(absl::StatusOr<ObjectDescription>)> done);
  // Unloads the object as soon as nothing of it is under way.
  void PassivateSoon(const storage::ObjectKey& key);
  // There may be a client for alarms that found none: a new one, whose filter that is, or one that is free again.
  void OnAlarmClients(const std::optional<AlarmWatchers::Filter>& added) { lane_.alarms.OnClients(added); }

  // What the SQL of its objects runs with.
  const storage::sql::Environment& sql() const { return lane_.sql; }
  // Null if the object is not in memory.
  const Activation* Find(const storage::ObjectKey& key) const;
  size_t activation_count() const { return lane_.residency.count(); }
  size_t activation_bytes() const { return lane_.residency.bytes(); }
  void CheckInvariants() const;

 private:
  struct Reading;

  Activation* GetOrCreate(const storage::ObjectKey& key, const ObjectClass* object_class);
  Shard& ShardOf(const storage::ObjectKey& key) { return *shards_[static_cast<size_t>(key.shard())]; }
  // Steps of Describe (shard_host_describe.cc).
  uint64_t GenerationOf(const storage::ObjectKey& key) const;
  void DescribeRead(std::shared_ptr<Reading> reading);
  void DescribeTablesOf(std::shared_ptr<Reading> reading);
  AlarmScheduler::Fired FireAlarm(const std::string& encoded_id);

  // Returns the activation of an object; null if the object is not in memory.
  Activation* ActivationOf(const storage::ObjectKey& key);
  // Brings an object into memory; null if it has no class that this server knows.
  Activation* Bring(const storage::ObjectKey& key);
  void Remove(const storage::ObjectKey& key);

  Lane lane_;  // outlives the activations
  std::array<std::unique_ptr<Shard>, storage::kShardCount> shards_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
