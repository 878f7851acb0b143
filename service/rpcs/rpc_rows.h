// Makes a service of the table of RPCs, with a row for each method:
//
//   RpcRows<v1::CounterService> rows;
//   rows.Unary<&Counter::Increment>("Increment", Verb::kWrite, &Counter::Class());
//   rows.Unary<&Counter::GetValue>("GetValue", Verb::kRead, &Counter::Class());
//   extension->services.push_back(rows.Take());
//
// Only the handler, a method of an object class, is written by hand.

#ifndef HOLDFAST_SERVICE_RPCS_RPC_ROWS_H_
#define HOLDFAST_SERVICE_RPCS_RPC_ROWS_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/objects/plain_object.h"
#include "service/call/direct_call.h"
#include "service/call/gather_call.h"
#include "service/call/method.h"
#include "service/call/object_call.h"
#include "service/call/raw_method.h"
#include "service/call/unary_call.h"
#include "service/rpcs/rpc_table.h"
#include "storage/store/shard_set.h"

namespace holdfast::service {

// The types of a handler, which is a method of an object class.
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

// `Generated` is the class that protoc makes of the service. Each function adds the row of one method, which it takes
// by its name in the service: "Increment".
template <typename Generated>
class RpcRows {
 public:
  RpcRows()
      : service_{Generated::service_full_name(), std::make_unique<typename Generated::AsyncService>(), /*rows=*/{}} {}

  // Adds a method with one request for one object and one reply. A null class means that the request names it.
  template <auto kHandler>
  void Unary(absl::string_view method, Verb verb, const actors::ObjectClass* object_class) {
    using Traits = HandlerTraits<kHandler>;
    using Request = typename Traits::Request;
    using Response = typename Traits::Response;
    Add<UnaryCall<Request, Response>>(UnaryMethod<Request, Response>{
        .raw = Raw(method, verb, std::is_same_v<typename Traits::Class, actors::PlainObject>),
        .handle = Traits::Handle,
        .object_class = object_class});
  }

  // Adds a method with one request and one reply that the server itself answers. `answers_always`: also when it is full
  // or drains, and without credentials. `between_nodes`: as Method has it.
  template <typename Request, typename Response>
  void Direct(absl::string_view method, Verb verb,
              void (*handle)(Endpoint*, Admission, const Request&, Response*, DirectDone), bool answers_always = false,
              bool between_nodes = false) {
    Add<DirectCall<Request, Response>>(DirectMethod<Request, Response>{
        .raw = Raw(method, verb, /*for_clients=*/false, /*open=*/answers_always, between_nodes),
        .handle = handle,
        .answers_always = answers_always});
  }

  // Adds a method with one request for one object, which it names with its class, that the server itself answers.
  template <typename Request, typename Response>
  void OfObject(absl::string_view method, Verb verb,
                void (*handle)(Endpoint*, const RequestObject&, Response*, DirectDone)) {
    Add<ObjectCall<Request, Response>>(ObjectMethod<Request, Response>{.raw = Raw(method, verb), .handle = handle});
  }

  // Adds a method that all nodes of a cluster answer together.
  template <typename Request, typename Response>
  void Gather(absl::string_view method, Verb verb,
              void (*handle)(Endpoint*, Admission, const storage::ShardSet&, const Request&, Response*, DirectDone),
              absl::Status (*merge)(const Endpoint&, Admission, const Request&, std::vector<PeerAnswer<Response>>,
                                    Response*),
              GatherKind kind) {
    Add<GatherCall<Request, Response>>(
        GatherMethod<Request, Response>{.raw = Raw(method, verb), .handle = handle, .merge = merge, .kind = kind});
  }

  // Adds a method whose calls are a class of their own; `post` waits for one. `for_clients`, `open`: as Method has
  // them.
  void Custom(absl::string_view method, Verb verb, void (*post)(const RawMethod*, Endpoint*), bool for_clients = false,
              bool open = false) {
    auto raw = std::make_shared<RawMethod>(Raw(method, verb, for_clients, open));
    service_.rows.push_back({raw->name(), verb, [raw, post](Endpoint* endpoint) { post(raw.get(), endpoint); },
                             [raw](size_t number) { raw->set_number(number); }, open});
  }

  // Adds a method that the template `Call` (BatchCall, StreamCall) serves as `row` describes it. The `raw` of `row` is
  // Raw(name, verb).
  template <typename Call, typename Row>
  void Add(Row row) {
    auto shared = std::make_shared<Row>(std::move(row));
    service_.rows.push_back({shared->raw.name(), shared->raw.method().verb,
                             [shared](Endpoint* endpoint) { Call::Post(shared.get(), endpoint); },
                             [shared](size_t number) { shared->raw.set_number(number); }, shared->raw.method().open});
  }
  RawMethod Raw(absl::string_view method, Verb verb, bool for_clients = false, bool open = false,
                bool between_nodes = false) const {
    return RawMethod(service_.service.get(),
                     {absl::StrCat(service_.name, ".", method), verb, for_clients, open, between_nodes});
  }

  // Returns the service with its rows. Call it last.
  RpcTable::Service Take() { return std::move(service_); }

 private:
  RpcTable::Service service_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_RPC_ROWS_H_
