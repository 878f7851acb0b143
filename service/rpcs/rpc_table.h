// The table of RPCs: service method -> verb, object class and handler, one row each. It knows no service by its name:
// all come in through Add, the built-in ones (builtin.h) and those of a program alike. To add an RPC, write a method in
// a .proto file, a handler in a class, and a row in the file of its service (such as counter_rpcs.cc).

#ifndef HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_
#define HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_builder.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "service/call/endpoint.h"
#include "service/call/method.h"

namespace holdfast::service {

// The table owns the services. It must outlive the gRPC server and its calls.
class RpcTable {
 public:
  // rpc_rows.h makes complete rows. A row that is made by hand may lack its verb; CheckComplete finds that.
  struct Row {
    std::string method;  // "holdfast.v1.CounterService.Increment"
    std::optional<Verb> verb;
    std::function<void(Endpoint*)> post;  // waits for a call of the method
    // Tells the method its number among those of the table (Method::number). May be null.
    std::function<void(size_t)> set_number = nullptr;
    bool open = false;  // as Method has it
  };

  struct Service {
    std::string name;  // "holdfast.v1.CounterService"
    std::unique_ptr<grpc::Service> service;
    std::vector<Row> rows;  // one for each method
  };

  // All services are added before any of the functions below is called.
  void Add(Service service);

  // Returns an error that names the first method without a row, since a call to it would hang, or without a verb, since
  // no permission could then apply to it.
  absl::Status CheckComplete() const;
  void Register(grpc::ServerBuilder* builder) const;
  // Waits for calls of every method. The endpoint's `service_names` are those of this table.
  void Post(Endpoint* endpoint) const;

  // Returns the services in the order in which they were added.
  const std::vector<Service>& services() const { return services_; }
  const std::vector<std::string>& service_names() const { return service_names_; }
  // Returns all methods, each at its number.
  std::vector<Method> methods() const;
  // Returns the names of all methods, each at its number.
  const std::vector<std::string>& method_names() const { return method_names_; }

 private:
  std::vector<Service> services_;
  std::vector<std::string> service_names_;
  std::vector<std::string> method_names_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_RPC_TABLE_H_
