// The table of RPCs: service method -> object class -> handler, one row each (rpc_table.cc). Adding an RPC is a method
// in a .proto file, a handler in a class, and a row.

#ifndef HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_
#define HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_

#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "actors/object.h"
#include "service/call/endpoint.h"

namespace holdfast::service {

// The services and how each of their methods is served. Must outlive the gRPC server and its calls.
class RpcTable {
 public:
  struct Row {
    std::string method;  // "holdfast.v1.CounterService.Increment"
    std::function<void(Endpoint*)> post;
  };

  RpcTable();
  ~RpcTable();

  // The classes that the rows name.
  static std::vector<const actors::ObjectClass*> Classes();

  // One more service, by its full name; its rows are as those of the others. Before Register.
  void Add(std::string name, grpc::Service* service, std::vector<Row> rows);

  void Register(grpc::ServerBuilder* builder);
  std::vector<std::string> ServiceNames() const;
  // An error that names the first method of a registered service without a row: a call to it would hang.
  absl::Status CheckComplete() const;
  // Waits for calls of every method.
  void Post(Endpoint* endpoint) const;

  const std::vector<Row>& rows() const { return rows_; }

 private:
  struct Services;

  std::unique_ptr<Services> services_;
  std::vector<std::pair<std::string, grpc::Service*>> added_;
  std::vector<Row> rows_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_
