// What a program adds to the server, or replaces in it: object classes of its own with their services; a store and a
// clock for tests. An empty one is holdfastd.
//
// Ownership: the pointers outlive the server.

#ifndef HOLDFAST_SERVICE_EXTENSION_H_
#define HOLDFAST_SERVICE_EXTENSION_H_

#include <grpcpp/impl/service_type.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/executor/clock.h"
#include "actors/object.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/rpcs/rpc_table.h"
#include "storage/store/store.h"

namespace holdfast::service {

// The store that servers run: RocksDB in the data directory.
absl::StatusOr<std::unique_ptr<storage::Store>> OpenStore(const config::v1::Config& config);

struct Extension {
  struct Service {
    std::string name;
    grpc::Service* service;
    std::vector<RpcTable::Row> rows;  // of all its methods; rpc_row.h makes them
  };

  std::vector<const actors::ObjectClass*> object_classes = {};
  std::vector<Service> services = {};
  std::function<absl::StatusOr<std::unique_ptr<storage::Store>>(const config::v1::Config&)> open_store = OpenStore;
  // Null: the system's.
  const actors::Clock* clock = nullptr;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_EXTENSION_H_
