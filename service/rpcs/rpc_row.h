// Makes a row of the table of RPCs out of a handler: the method of an object class is all that is written by hand.

#ifndef HOLDFAST_SERVICE_RPCS_RPC_ROW_H_
#define HOLDFAST_SERVICE_RPCS_RPC_ROW_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/objects/plain_object.h"
#include "service/call/unary_call.h"
#include "service/rpcs/rpc_table.h"

namespace holdfast::service {

// What a handler, a method of an object class, is made of.
template <auto kHandler>
struct HandlerTraits;
template <typename Class_, typename Request_, typename Response_,
          actors::Task<absl::Status> (Class_::*kHandler)(const Request_&, Response_*)>
struct HandlerTraits<kHandler> {
  using Class = Class_;
  using Request = Request_;
  using Response = Response_;
  static actors::Task<absl::Status> Handle(actors::Object& object, const Request& request, Response* response) {
    return (static_cast<Class&>(object).*kHandler)(request, response);
  }
};

// A row for a method with one request for one object; `method` is its full name. A null class means that the request
// names it.
template <auto kHandler>
RpcTable::Row Unary(const std::string& method, grpc::Service* service, const actors::ObjectClass* object_class) {
  using Traits = HandlerTraits<kHandler>;
  using Request = typename Traits::Request;
  using Response = typename Traits::Response;
  auto row = std::make_shared<UnaryMethod<Request, Response>>(
      UnaryMethod<Request, Response>{.raw = RawMethod(service, method),
                                     .handle = Traits::Handle,
                                     .object_class = object_class,
                                     .for_clients = std::is_same_v<typename Traits::Class, actors::PlainObject>});
  return {method, [row](Endpoint* endpoint) { UnaryCall<Request, Response>::Post(row.get(), endpoint); }};
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_RPC_ROW_H_
