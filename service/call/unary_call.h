// A call with one request for one object and one reply: from the completion queue to the object's handler and back. One
// template serves all methods.
//
// When its request has arrived, the call goes to its object as a delivery. When the output gate lets the outcome pass,
// the call sends it, on the object's executor. In a cluster, a request for an object of another node is sent on to it;
// one that finds its object gone, since its shard has just moved, is routed anew.

#ifndef HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
#define HOLDFAST_SERVICE_CALL_UNARY_CALL_H_

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/wire/errors.h"
#include "service/call/forward.h"
#include "service/call/message_record.h"
#include "service/call/reply_call.h"
#include "service/call/reply_wire.h"
#include "service/call/request_object.h"

namespace holdfast::service {

// A typed row of the RPC table. `Request` and `Response` are messages; `handle` is the method of the object class.
template <typename Request, typename Response>
struct UnaryMethod {
  RawMethod raw;
  actors::Task<absl::Status> (*handle)(actors::Object& object, const Request& request, Response* response);
  const actors::ObjectClass* object_class;  // null: the request names it
};

template <typename Request, typename Response>
class UnaryCall final : public ReplyCall<Request, Response>, private actors::Delivery {
 public:
  // Waits for a request of the row's method. The call deletes itself in the end.
  static void Post(const UnaryMethod<Request, Response>* row, Endpoint* endpoint) { new UnaryCall(row, endpoint); }

 private:
  // Between two tries to find an object that is on its way.
  static constexpr absl::Duration kRerouteStep = absl::Milliseconds(20);

  UnaryCall(const UnaryMethod<Request, Response>* row, Endpoint* endpoint)
      : ReplyCall<Request, Response>(&row->raw, endpoint), row_(row) {}

  void PostNext() override { Post(row_, this->endpoint_); }
  absl::string_view ImpliedClass() const override {
    return row_->object_class == nullptr ? absl::string_view(kDefaultClass) : row_->object_class->name;
  }

  absl::Status Begin() override {
    const Endpoint& endpoint = *this->endpoint_;
    const Request& request = this->request();
    const absl::Status status = AdmitObject(
        request, row_->object_class, *endpoint.classes,
        [this](const Target& target) { return this->AdmitTarget(target); }, &object_);
    if (!status.ok()) return status;
    record_.emplace(&row_->raw.name(), &request, this->response_);
    this->deadline = DeadlineOf(this->context_, endpoint.executor->clock());
    this->bytes = this->request_bytes();
    if (TracedDelivery* const traced = this->TraceDelivery()) {
      this->times = traced->Queued(object_.key, object_.object_class);
    }
    Route();
    return absl::OkStatus();
  }

  // Takes the request to its object, here or on another node.
  void Route() {
    const Endpoint& endpoint = *this->endpoint_;
    if (endpoint.placement != nullptr && !this->lease_.forwarded()) {
      if (std::shared_ptr<Peer> peer = endpoint.placement->PeerFor(object_.key.shard())) {
        Forward::Send(this->context_, std::move(peer), row_->raw.name(), ToWire(this->request()), endpoint.executor,
                      [this](Forward::Outcome outcome) { OnForwarded(std::move(outcome)); });
        return;
      }
    }
    endpoint.router->Deliver(object_.key, object_.object_class, this);
  }
  // Routes the request anew if its object was not where it was sought: at once, and then a few times while the object
  // may be on its way.
  bool RoutedAgain(const absl::Status& status) {
    const Endpoint& endpoint = *this->endpoint_;
    if (endpoint.placement == nullptr || this->lease_.forwarded() ||
        actors::ReasonOf(status) != v1::ERROR_REASON_WRONG_OWNER) {
      return false;
    }
    const absl::Time now = endpoint.executor->clock().Steady();
    const bool first = !reroute_until_.has_value();
    if (first) reroute_until_ = now + endpoint.reroute_max;
    if (!first && now + kRerouteStep > std::min(*reroute_until_, this->deadline)) return false;
    endpoint.placement->Moved(object_.key.shard());
    if (first) {
      endpoint.executor->Post([this] { Route(); });
    } else if (endpoint.executor->IsCurrent()) {
      endpoint.executor->After(kRerouteStep, [this] { Route(); });
    } else {
      endpoint.executor->Post([this] { this->endpoint_->executor->After(kRerouteStep, [this] { Route(); }); });
    }
    return true;
  }
  void OnForwarded(Forward::Outcome outcome) {
    if (RoutedAgain(outcome.status)) return;
    absl::Status status = std::move(outcome.status);
    if (status.ok() && !grpc::SerializationTraits<Response>::Deserialize(&outcome.reply, this->response_).ok()) {
      status = absl::InternalError("the reply of another node is not one of this method");
    }
    if (status.ok()) status = this->ReserveReply();
    if (status.ok() && outcome.replayed) MarkReplayed(&this->context_);
    this->Finish(status);
  }

  actors::Task<absl::Status> Run(actors::Object& object) override {
    return row_->handle(object, this->request(), this->response_);
  }
  absl::Status CheckReply() override { return this->ReserveReply(); }
  actors::RecordedRequest* recorded() override { return record_->IfAny(); }
  void Done(const absl::Status& status) override {
    if (RoutedAgain(status)) return;
    if (status.ok() && record_->replayed()) MarkReplayed(&this->context_);
    this->Finish(status);
  }

  const UnaryMethod<Request, Response>* const row_;
  std::optional<MessageRecord<Request, Response>> record_;
  RequestObject object_;
  std::optional<absl::Time> reroute_until_;  // set when the object was missed
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_UNARY_CALL_H_
