// What a server is made of beside its configuration: object classes with their services, and for tests a store and a
// clock. The built-in classes and services come in this way (builtin.h), and so do those of a program that adds its
// own; the server starts with both. An empty one is holdfastd.
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
#include "service/rpcs/rpc_table.h"
#include "storage/base/observer.h"
#include "storage/store/store.h"

namespace holdfast::service {

struct Extension {
  std::vector<const actors::ObjectClass*> object_classes = {};
  std::vector<RpcTable::Service> services = {};  // rpc_rows.h makes them
  // Null: RocksDB in the data directory (OpenStore of server.h).
  std::function<absl::StatusOr<std::unique_ptr<storage::Store>>(const config::v1::Config&)> open_store = nullptr;
  // Null: the system's.
  const actors::Clock* clock = nullptr;
  // Is told what happens (storage/base/observer.h). Null: nobody is.
  storage::Observer* observer = nullptr;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_EXTENSION_H_
