// The parts of a server beside its configuration: object classes with their services, an observer, and for tests a
// store and a clock. The built-in classes and services are an Extension (builtin.h), and so are those of a program that
// adds its own; the server starts with both. holdfastd adds an empty one.
//
// Ownership: the services pass to the server. The object classes, the clock and the observer outlive it.

#ifndef HOLDFAST_SERVICE_RPCS_EXTENSION_H_
#define HOLDFAST_SERVICE_RPCS_EXTENSION_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/executor/clock.h"
#include "actors/object.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/call/placement.h"
#include "service/rpcs/rpc_table.h"
#include "storage/base/observer.h"
#include "storage/store/store.h"

namespace holdfast::service {

struct Extension {
  std::vector<const actors::ObjectClass*> object_classes = {};
  std::vector<RpcTable::Service> services = {};  // rpc_rows.h makes them
  // Opens the store. Null: RocksDB in the data directory (service/open_store.h).
  std::function<absl::StatusOr<std::unique_ptr<storage::Store>>(const config::v1::Config&)> open_store = nullptr;
  // The clock of the server. Null: the system's.
  const actors::Clock* clock = nullptr;
  // The observer of events (storage/base/observer.h). Null: there is none.
  storage::Observer* observer = nullptr;
  // Where the objects of a cluster are, and the shards that are this node's at the start. Null: all are here.
  Placement* placement = nullptr;
  std::function<bool(storage::ShardId shard)> owns = nullptr;
  // Reads the configuration again, complete and checked. The rules and files of access control are taken from it while
  // the server runs. Null: the configuration stays.
  std::function<absl::StatusOr<config::v1::Config>()> read_config = nullptr;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_EXTENSION_H_
