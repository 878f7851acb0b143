// AdminService: how the server is, and work on its store.

#include <memory>
#include <utility>

#include "actors/wire/errors.h"
#include "holdfast/v1/admin_service.grpc.pb.h"
#include "service/call/admin_services.h"
#include "service/rpcs/admin_calls.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {

void OnAdminThread(Endpoint* endpoint, absl::AnyInvocable<absl::Status()> work, DirectDone done) {
  // Shared, since the thread may not take the work.
  auto shared = std::make_shared<DirectDone>(std::move(done));
  const bool taken = endpoint->admin->thread->Run([endpoint, work = std::move(work), shared]() mutable {
    endpoint->executor->Post([status = work(), shared] { (*shared)(status); });
  });
  if (taken) return;
  (*shared)(actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                              "too many calls of administration are under way", absl::Seconds(1)));
}

void AddAdminRpcs(Extension* extension) {
  RpcRows<v1::AdminService> rows;
  rows.Gather("GetStatus", Verb::kAdmin, &GetStatus, &MergeStatus, GatherKind::kTakesErrors);
  rows.Gather("ListHotObjects", Verb::kAdmin, &ListHotObjects, &MergeHotObjects, GatherKind::kAll);
  rows.Direct("ListNamespaces", Verb::kAdmin, &ListNamespaces);
  rows.Direct("ListAlarms", Verb::kAdmin, &ListAlarms);
  rows.Direct("ListNamespaceChanges", Verb::kAdmin, &ListNamespaceChanges, /*answers_always=*/false,
              /*between_nodes=*/true);
  rows.Direct("GetHistory", Verb::kAdmin, &GetHistory);
  rows.Direct("SetLogLevel", Verb::kAdmin, &SetServerLogLevel);
  rows.Custom("CompactStore", Verb::kAdmin, &PostCompactStore);
  rows.Custom("Scrub", Verb::kAdmin, &PostScrub);
  rows.Direct("CreateBackup", Verb::kAdmin, &CreateBackup);
  rows.Direct("ListBackups", Verb::kAdmin, &ListBackups);
  rows.Custom("RestoreObject", Verb::kAdmin, &PostRestoreObject);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
