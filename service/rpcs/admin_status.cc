// GetStatus, GetHistory and SetLogLevel.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "actors/wire/errors.h"
#include "actors/wire/utf8.h"
#include "service/call/admin_services.h"
#include "service/metrics/process_usage.h"
#include "service/metrics/version.h"
#include "service/rpcs/admin_calls.h"
#include "storage/base/log.h"
#include "storage/store/format.h"
#include "storage/store/object_id.h"

namespace holdfast::service {
namespace {

using actors::SetTimestamp;

void AddMemory(absl::string_view owner, uint64_t bytes, int64_t bytes_max, v1::GetStatusResponse* response) {
  v1::MemoryUse* const use = response->add_memory();
  use->set_owner(std::string(owner));
  use->set_bytes(static_cast<int64_t>(bytes));
  use->set_bytes_max(bytes_max);
}

void FillExecutors(const NodeLoad& load, v1::GetStatusResponse* response) {
  for (size_t i = 0; i < load.executors.size(); ++i) {
    const NodeLoad::Executor& executor = load.executors[i];
    v1::ExecutorStatus* const status = response->add_executors();
    status->set_number(static_cast<int32_t>(i));
    status->set_unresponsive(!executor.answered);
    SetDuration(executor.cpu_time, status->mutable_cpu_time());
    status->set_active_objects(static_cast<int64_t>(executor.load.active_objects));
    status->set_active_object_bytes(static_cast<int64_t>(executor.load.active_object_bytes));
    status->set_pending_commit_bytes(static_cast<int64_t>(executor.load.pending_commit_bytes));
    status->set_alarms_running(static_cast<int64_t>(executor.load.alarms.running));
    status->set_sql_waiting(executor.sql_waiting);
  }
}

void FillMemory(const NodeLoad& load, const AdminServices& admin, v1::GetStatusResponse* response) {
  uint64_t objects = 0;
  uint64_t pending = 0;
  for (const NodeLoad::Executor& executor : load.executors) {
    objects += executor.load.active_object_bytes;
    pending += executor.load.pending_commit_bytes;
  }
  AddMemory("process", ReadProcessUsage().resident_bytes, 0, response);
  AddMemory("objects", objects, admin.activation_bytes_max, response);
  AddMemory("calls", static_cast<uint64_t>(load.call_bytes), admin.call_bytes_max, response);
  AddMemory("pending commits", pending, 0, response);
  AddMemory("unfolded writes", load.store.unfolded_bytes, static_cast<int64_t>(load.store.unfolded_bytes_max),
            response);
  AddMemory("memtables", load.store.memtable_bytes, admin.memtable_bytes, response);
  AddMemory("block cache", load.store.block_cache_bytes, static_cast<int64_t>(load.store.block_cache_bytes_max),
            response);
}

void FillCounts(const Recorder& recorder, const NodeLoad& load, v1::GetStatusResponse* response) {
  const auto total = [&recorder](Metric metric) { return static_cast<int64_t>(recorder.Total(metric)); };
  v1::CallStatus* const calls = response->mutable_calls();
  calls->set_in_progress(load.calls);
  calls->set_streams(load.streams);
  calls->set_connections(load.connections);
  calls->set_ended(total(Metric::kRequests));
  calls->set_refused(total(Metric::kRefusals));
  v1::CommitStatus* const commits = response->mutable_commits();
  commits->set_commits(total(Metric::kCommitDuration));
  commits->set_failed(total(Metric::kCommitFailures));
  commits->set_log_bytes(total(Metric::kLogBytes));
  commits->set_folds(total(Metric::kFoldDuration));
  commits->set_unfolded_bytes(static_cast<int64_t>(load.store.unfolded_bytes));
  commits->set_unfolded_bytes_max(static_cast<int64_t>(load.store.unfolded_bytes_max));
}

void FillStore(const NodeLoad& load, v1::GetStatusResponse* response) {
  v1::AlarmStatus* const alarms = response->mutable_alarms();
  v1::RequestRecordStatus* const records = response->mutable_request_records();
  absl::Duration backlog = absl::ZeroDuration();
  for (const NodeLoad::Executor& executor : load.executors) {
    alarms->set_running(alarms->running() + static_cast<int64_t>(executor.load.alarms.running));
    alarms->set_waiting(alarms->waiting() + static_cast<int64_t>(executor.load.alarms.waiting));
    backlog = std::max(backlog, executor.load.alarms.late);
    records->set_records(records->records() + executor.load.request_records);
    records->set_bytes(records->bytes() + executor.load.request_record_bytes);
  }
  SetDuration(backlog, alarms->mutable_backlog());
  alarms->set_watchers(static_cast<int64_t>(load.alarm_watchers));
  records->set_bytes_max(load.request_record_bytes_max);
  response->mutable_families()->set_used(load.families);
  response->mutable_families()->set_used_max(load.families_max);
  v1::DiskStatus* const disk = response->mutable_disk();
  disk->set_free_bytes(static_cast<int64_t>(load.store.disk_free_bytes));
  disk->set_reserve_bytes(static_cast<int64_t>(load.store.disk_reserve_bytes));
  disk->set_table_bytes(static_cast<int64_t>(load.store.table_bytes));
  disk->set_pending_compaction_bytes(static_cast<int64_t>(load.store.pending_compaction_bytes));
}

v1::LogLevel LevelNow() {
  if (LogEnabled(LogLevel::kDebug)) return v1::LOG_LEVEL_DEBUG;
  if (LogEnabled(LogLevel::kInfo)) return v1::LOG_LEVEL_INFO;
  return LogEnabled(LogLevel::kWarning) ? v1::LOG_LEVEL_WARNING : v1::LOG_LEVEL_ERROR;
}

}  // namespace

void GetStatus(Endpoint* endpoint, Admission admit, const storage::ShardSet&, const v1::GetStatusRequest&,
               v1::GetStatusResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  OnAdminThread(
      endpoint,
      [admin = endpoint->admin, response] {
        const NodeLoad load = admin->node->Read();
        response->set_version(ServerVersion());
        response->set_storage_format(static_cast<int32_t>(storage::kFormatVersion));
        SetTimestamp(absl::ToUnixMicros(admin->started), response->mutable_start_time());
        SetDuration(absl::Now() - admin->started, response->mutable_uptime());
        response->set_draining(load.draining);
        response->set_shard_count(static_cast<int32_t>(storage::kShardCount));
        FillExecutors(load, response);
        FillCounts(*admin->recorder, load, response);
        FillMemory(load, *admin, response);
        FillStore(load, response);
        return absl::OkStatus();
      },
      std::move(done));
}

absl::Status MergeStatus(const Endpoint&, Admission, const v1::GetStatusRequest&,
                         std::vector<PeerAnswer<v1::GetStatusResponse>> others, v1::GetStatusResponse* response) {
  for (auto& other : others) {
    v1::NodeStatus* const node = response->add_other_nodes();
    node->set_node(other.node);
    if (other.status.ok()) {
      node->mutable_status()->Swap(&other.response);
    } else {
      node->set_error(actors::ValidUtf8(other.status.message()));
    }
  }
  return absl::OkStatus();
}

void GetHistory(Endpoint* endpoint, Admission admit, const v1::GetHistoryRequest&, v1::GetHistoryResponse* response,
                DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  for (const HistoryPoint& from : endpoint->admin->history->Read()) {
    v1::HistoryPoint* const point = response->add_points();
    SetTimestamp(absl::ToUnixMicros(from.time), point->mutable_time());
    point->set_requests_per_second(from.requests_per_second);
    point->set_errors_per_second(from.errors_per_second);
    point->set_refusals_per_second(from.refusals_per_second);
    SetDuration(from.request_p50, point->mutable_request_p50());
    SetDuration(from.request_p99, point->mutable_request_p99());
    point->set_commits_per_second(from.commits_per_second);
    SetDuration(from.commit_p99, point->mutable_commit_p99());
    point->set_log_bytes_per_second(from.log_bytes_per_second);
    point->set_alarms_per_second(from.alarms_per_second);
    point->set_cpu(from.cpu);
    point->set_resident_bytes(static_cast<int64_t>(from.resident_bytes));
    point->set_active_objects(static_cast<int64_t>(from.active_objects));
    point->set_disk_free_bytes(static_cast<int64_t>(from.disk_free_bytes));
  }
  done(absl::OkStatus());
}

void SetServerLogLevel(Endpoint*, Admission admit, const v1::SetLogLevelRequest& request,
                       v1::SetLogLevelResponse* response, DirectDone done) {
  if (absl::Status status = admit(Target::Server()); !status.ok()) return done(status);
  if (request.level() == v1::LOG_LEVEL_UNSPECIFIED || !v1::LogLevel_IsValid(request.level())) {
    return done(actors::InvalidField("level", "must be DEBUG, INFO, WARNING or ERROR"));
  }
  response->set_previous_level(LevelNow());
  SetLogLevel(static_cast<LogLevel>(request.level() - v1::LOG_LEVEL_DEBUG));
  Log(LogLevel::kWarning, "log_level_set",
      {{"level", v1::LogLevel_Name(request.level())}, {"previous", v1::LogLevel_Name(response->previous_level())}});
  done(absl::OkStatus());
}

}  // namespace holdfast::service
