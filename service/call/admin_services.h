// The services that the calls of administration (service/rpcs/admin_rpcs.cc) read and use. All of them outlive the
// calls.

#ifndef HOLDFAST_SERVICE_CALL_ADMIN_SERVICES_H_
#define HOLDFAST_SERVICE_CALL_ADMIN_SERVICES_H_

#include "absl/time/time.h"
#include "service/call/admin_thread.h"
#include "service/call/maintenance.h"
#include "service/call/node_reader.h"
#include "service/metrics/history.h"
#include "service/metrics/recorder.h"
#include "storage/backup/backups.h"
#include "storage/node/namespace_usage.h"

namespace holdfast::service {

struct AdminServices {
  const Recorder* recorder;
  const History* history;
  NodeReader* node;
  AdminThread* thread;
  Maintenance* maintenance;
  storage::Backups* backups;  // null: there is no directory for them
  // Null: namespaces have no quotas of objects and bytes, or there are no other nodes.
  const storage::NamespaceUsage* namespace_usage;
  absl::Time started;
  // The bounds of memory that GetStatus tells.
  int64_t activation_bytes_max;
  int64_t call_bytes_max;
  int64_t memtable_bytes;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ADMIN_SERVICES_H_
