// The shards of one executor, and what their objects share: the commit pipeline, the alarms, the bound on memory, the
// families.
//
// Threading: the executor's thread, but for the constructor. Shutdown: Stop() ends the alarms, then the owner waits
// until idle() and runs the executor no more.

#ifndef HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
#define HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_scheduler.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/clock.h"
#include "actors/executor/executor.h"
#include "actors/object.h"
#include "actors/runtime/activation.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/mailbox.h"
#include "actors/runtime/object_description.h"
#include "actors/runtime/request_records.h"
#include "storage/base/background.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/object/keyspace.h"
#include "storage/sql/database.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::actors {

struct HostOptions {
  MailboxLimits mailbox;
  absl::Duration idle_timeout = absl::Seconds(10);
  absl::Duration load_timeout = absl::Seconds(30);
  absl::Duration turn_timeout = absl::Seconds(30);
  absl::Duration alarm_timeout = absl::Minutes(15);
  size_t activation_bytes_max = 256 << 20;
  size_t turn_bytes_max = 64 << 20;
  size_t pipeline_bytes_max = 256 << 20;
  absl::Duration inline_commit_max = absl::ZeroDuration();
  int64_t object_bytes_max = int64_t{10} << 30;
  storage::sql::Limits sql;
  AlarmOptions alarms;
  RequestRecordOptions records;
  ObjectLimits objects;
};

// All of them outlive the host.
struct HostServices {
  Executor* executor;
  storage::Store* store;
  storage::Families* families;
  storage::RunClocks* run_clocks;
  storage::Background* reads;
  storage::Background* sql;  // for SQL that may take long, where there are no sql_workers
  storage::sql::TempSpace* sql_temp_space;
  storage::Background* commits;         // one thread
  storage::Background* family_changes;  // one thread
  Random* random;
  const ClassRegistry* classes;
  AlarmWatchers* watchers;
  // The disk failed; the process must end.
  absl::AnyInvocable<void(const absl::Status&)> on_commit_failure;
  storage::sql::Workers* sql_workers = nullptr;
  storage::sql::HeapTotal* sql_heap_total = nullptr;
};

// The objects of one shard that are in memory. The unit of ownership: its epoch says since which change of owner.
struct Shard {
  struct KeyHash {
    size_t operator()(const storage::ObjectKey& key) const { return key.hash(); }
  };

  storage::ShardId id;
  uint64_t epoch = 0;
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
  void OnRound() { pipeline_.Submit(); }

  // What is known of an object, durably. It does not load the object and waits for no turn of it; the tables of a SQL
  // database are counted beside them. `done` comes on this executor. DATA_LOSS where it is damaged; those of
  // ReadDurable (storage/sql/durable_database.h).
  void Describe(const storage::ObjectKey& key, const ObjectClass* object_class,
                absl::AnyInvocable<void(absl::StatusOr<ObjectDescription>)> done);
  // Unloads the object as soon as nothing of it is under way.
  void PassivateSoon(const storage::ObjectKey& key);
  // There may be a client for alarms that found none: a new one, whose filter that is, or one that is free again.
  void OnAlarmClients(const std::optional<AlarmWatchers::Filter>& added) { alarms_.OnClients(added); }

  // What the SQL of its objects runs with.
  const storage::sql::Environment& sql() const { return sql_; }
  // Null if the object is not in memory.
  const Activation* Find(const storage::ObjectKey& key) const;
  size_t activation_count() const { return lru_.size(); }
  size_t activation_bytes() const { return activation_bytes_; }
  void CheckInvariants() const;

 private:
  friend class Activation;

  struct Reading;

  Activation* GetOrCreate(const storage::ObjectKey& key, const ObjectClass* object_class);
  Shard& ShardOf(const storage::ObjectKey& key) { return *shards_[static_cast<size_t>(key.shard())]; }
  // Steps of Describe (shard_host_describe.cc).
  uint64_t GenerationOf(const storage::ObjectKey& key) const;
  void DescribeRead(std::shared_ptr<Reading> reading);
  void DescribeTablesOf(std::shared_ptr<Reading> reading);
  AlarmScheduler::Fired FireAlarm(const std::string& encoded_id);

  // --- For activations.
  const Clock& clock() const { return services_.executor->clock(); }
  // What an object's clock never reads earlier than if it was in memory in that run.
  int64_t RunClock(storage::RunNumber run) const;
  // In the batch that is being filled are turns that may have shown this time, and headers that do not say so.
  void NoteClock(absl::Time reading);
  // It has just been used: the memory that it takes is counted, and others may have to go.
  void Touch(Activation* activation);
  // It has no instance any more.
  void Released(Activation* activation);
  void RemoveWhenDurable(Activation* activation);
  // The object is packed and has written: gives it a family if there is room.
  void ConsiderFamily(Activation* activation);
  // Makes a family for the object, for which there is room reserved.
  void GiveFamily(Activation* activation);
  void DropFamily(const storage::Placement& placement);
  // The same for the family of an object that has ceased to exist by itself: at once, but no more than so many a
  // second. Each may come back and get a family again, and to make and drop one holds commits up. At a stop those that
  // are left wait for the next start, which drops them.
  void DropFamilySoon(const storage::Placement& placement);
  void DropNextLeft();
  // kDone: the object is where it was to go. kTooLarge: it was to be packed, and can't be.
  enum class MoveEnd { kDone, kFailed, kTooLarge };
  // A move has ended. `left` is the family that the object had, if it had one and the move is done.
  void Moved(Activation* activation, MoveEnd end, const std::optional<storage::Placement>& left);
  // Packs an object that is small and not in use, so that there is room for this one.
  void PackOneFor(const Activation* activation);

  void SetIdleTimer();
  void PassivateIdle();
  void ShrinkToBudget(const Activation* keep);

  HostServices services_;
  const HostOptions options_;
  const storage::sql::Environment sql_;
  storage::CommitPipeline pipeline_;
  storage::Keyspace catalog_;
  storage::Keyspace alarm_index_;
  storage::Keyspace node_;
  const storage::RunNumber run_;
  const std::string run_clock_key_;
  int64_t run_clock_us_ = 0;
  RequestRecords records_;
  AlarmScheduler alarms_;
  std::array<std::unique_ptr<Shard>, storage::kShardCount> shards_;
  std::list<Activation*> lru_;  // with an instance; least recently used first
  size_t activation_bytes_ = 0;
  int family_changes_under_way_ = 0;
  // Objects with a family of their own, in the order in which they are looked at to be packed.
  std::deque<storage::ObjectKey> placed_;
  // Those of them whose packing came to nothing, by the time from which it is tried again.
  std::multimap<absl::Time, storage::ObjectKey> not_packed_;
  // One is being packed so that another gets its room.
  struct Packing {
    storage::ObjectKey object;
    storage::ObjectKey room_for;
    std::optional<storage::Placement> left;  // once it is packed
  };
  std::optional<Packing> packing_;
  absl::Time packed_time_ = absl::InfinitePast();
  // Families to be dropped by and by, no more than there are families; the timer is set for a while after each.
  std::deque<storage::Placement> left_families_;
  std::optional<Executor::TimerId> left_timer_;
  std::optional<Executor::TimerId> idle_timer_;
  bool stopped_ = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_SHARD_HOST_H_
