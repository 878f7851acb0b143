// A lane is an executor with the services, the commit pipeline and the keyspaces that the objects of its shards share.
// A ShardHost owns its lane, which outlives the host's activations; an activation uses the lane and nothing else of its
// host.
//
// Threading: the executor.

#ifndef HOLDFAST_ACTORS_RUNTIME_LANE_H_
#define HOLDFAST_ACTORS_RUNTIME_LANE_H_

#include <cstddef>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_scheduler.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/clock.h"
#include "actors/executor/executor.h"
#include "actors/object.h"
#include "actors/runtime/hot_objects.h"
#include "actors/runtime/mailbox.h"
#include "actors/runtime/placement_policy.h"
#include "actors/runtime/request_records.h"
#include "actors/runtime/residency.h"
#include "actors/runtime/run_clock.h"
#include "storage/base/background.h"
#include "storage/base/observer.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/object/keyspace.h"
#include "storage/sql/database.h"
#include "storage/store/store.h"

namespace holdfast::storage {
class NamespaceUsage;
}  // namespace holdfast::storage

namespace holdfast::actors {

struct HostOptions {
  MailboxLimits mailbox;
  size_t waiting_requests_max = 4096;  // before the mailboxes
  absl::Duration waiting_time_max = absl::Seconds(1);
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

// The services that a lane is made from. All of them outlive the lane.
struct HostServices {
  Executor* executor;
  storage::Store* store;
  storage::Families* families;
  storage::RunClocks* run_clocks;
  storage::Background* reads;
  storage::Background* sql;  // for SQL that may take long, if there are no sql_workers
  storage::sql::TempSpace* sql_temp_space;
  storage::Background* commits;         // one thread
  storage::Background* family_changes;  // one thread
  Random* random;
  const ClassRegistry* classes;
  AlarmWatchers* watchers;
  // Called when the disk failed: the process must end.
  absl::AnyInvocable<void(const absl::Status&)> on_commit_failure;
  storage::sql::Workers* sql_workers = nullptr;
  storage::sql::HeapTotal* sql_heap_total = nullptr;
  storage::Observer* observer = nullptr;               // may be null
  storage::NamespaceUsage* namespace_usage = nullptr;  // null: namespaces have no quotas of objects and bytes
};

struct Lane {
  // The parts of the host that the lane's parts call.
  struct Host {
    AlarmScheduler::Fire fire_alarm;
    absl::AnyInvocable<bool(storage::ShardId shard) const> owns;
    // As PlacementPolicy::Services has them.
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> find;
    absl::AnyInvocable<Activation*(const storage::ObjectKey& key)> bring;
    // Removes the activation of an object from its shard if it is removable. The lane calls this from a posted function
    // only, since the activation may still be on the stack.
    absl::AnyInvocable<void(const storage::ObjectKey& key)> remove;
  };

  Lane(HostServices services, const HostOptions& options, Host host);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  const Clock& clock() const { return services.executor->clock(); }
  // Removes an activation without an instance once its last batch is durable.
  void RemoveWhenDurable(const storage::ObjectKey& key, storage::BatchNumber last_batch);
  // From now on no alarm begins, no object moves, and no idle object is passivated.
  void Stop();

  HostServices services;
  const HostOptions options;
  Host host;
  const storage::sql::Environment sql;
  storage::CommitPipeline pipeline;
  storage::Keyspace catalog;
  storage::Keyspace alarm_index;
  storage::Keyspace node;
  RunClock run_clock;
  RequestRecords records;
  AlarmScheduler alarms;
  Residency residency;
  PlacementPolicy placement;
  HotObjects hot;
  bool stopped = false;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_LANE_H_
