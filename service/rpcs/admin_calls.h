// The methods of AdminService, each in a file with its like: admin_status.cc, admin_objects.cc, admin_backups.cc,
// restore_object.cc, maintenance_calls.cc.

#ifndef HOLDFAST_SERVICE_RPCS_ADMIN_CALLS_H_
#define HOLDFAST_SERVICE_RPCS_ADMIN_CALLS_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/wire/wire_time.h"
#include "holdfast/v1/admin_service.pb.h"
#include "service/call/call_gate.h"
#include "service/call/direct_call.h"
#include "service/call/endpoint.h"
#include "service/call/gather_call.h"
#include "service/call/raw_method.h"
#include "storage/store/shard_set.h"

namespace holdfast::service {

void GetStatus(Endpoint* endpoint, Admission admit, const storage::ShardSet& shards,
               const v1::GetStatusRequest& request, v1::GetStatusResponse* response, DirectDone done);
absl::Status MergeStatus(const Endpoint& endpoint, Admission admit, const v1::GetStatusRequest& request,
                         std::vector<PeerAnswer<v1::GetStatusResponse>> others, v1::GetStatusResponse* response);
void GetHistory(Endpoint* endpoint, Admission admit, const v1::GetHistoryRequest& request,
                v1::GetHistoryResponse* response, DirectDone done);
void SetServerLogLevel(Endpoint* endpoint, Admission admit, const v1::SetLogLevelRequest& request,
                       v1::SetLogLevelResponse* response, DirectDone done);
void ListHotObjects(Endpoint* endpoint, Admission admit, const storage::ShardSet& shards,
                    const v1::ListHotObjectsRequest& request, v1::ListHotObjectsResponse* response, DirectDone done);
absl::Status MergeHotObjects(const Endpoint& endpoint, Admission admit, const v1::ListHotObjectsRequest& request,
                             std::vector<PeerAnswer<v1::ListHotObjectsResponse>> others,
                             v1::ListHotObjectsResponse* response);
void ListNamespaces(Endpoint* endpoint, Admission admit, const v1::ListNamespacesRequest& request,
                    v1::ListNamespacesResponse* response, DirectDone done);
void ListAlarms(Endpoint* endpoint, Admission admit, const v1::ListAlarmsRequest& request,
                v1::ListAlarmsResponse* response, DirectDone done);
void ListNamespaceChanges(Endpoint* endpoint, Admission admit, const v1::ListNamespaceChangesRequest& request,
                          v1::ListNamespaceChangesResponse* response, DirectDone done);

void CreateBackup(Endpoint* endpoint, Admission admit, const v1::CreateBackupRequest& request,
                  v1::CreateBackupResponse* response, DirectDone done);
void ListBackups(Endpoint* endpoint, Admission admit, const v1::ListBackupsRequest& request,
                 v1::ListBackupsResponse* response, DirectDone done);

// Each waits for a call of the method, which must outlive the call.
void PostCompactStore(const RawMethod* method, Endpoint* endpoint);
void PostScrub(const RawMethod* method, Endpoint* endpoint);
void PostRestoreObject(const RawMethod* method, Endpoint* endpoint);

inline void SetDuration(absl::Duration from, google::protobuf::Duration* duration) {
  actors::SetDuration(absl::ToInt64Microseconds(from), duration);
}

// Returns the error of a server without a directory for backups.
absl::Status NoBackups();

// Runs `work` on the thread of administration, then ends the call with the status that it returned, on the executor of
// the endpoint. SERVER_OVERLOADED if too many such calls wait.
void OnAdminThread(Endpoint* endpoint, absl::AnyInvocable<absl::Status()> work, DirectDone done);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_ADMIN_CALLS_H_
