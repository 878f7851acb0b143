// The base of calls with one request for one object and one reply: it takes the request to its object, here or on the
// node that has it (routing.h).

#ifndef HOLDFAST_SERVICE_CALL_ROUTED_CALL_H_
#define HOLDFAST_SERVICE_CALL_ROUTED_CALL_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "service/call/forward.h"
#include "service/call/reply_call.h"
#include "service/call/reply_wire.h"
#include "service/call/request_object.h"
#include "service/call/routing.h"

namespace holdfast::service {

template <typename Request, typename Response>
class RoutedCall : public ReplyCall<Request, Response> {
 protected:
  RoutedCall(const RawMethod* method, Endpoint* endpoint)
      : ReplyCall<Request, Response>(method, endpoint), routing_(endpoint, &this->lease_) {}

  // Begins the request on this node. Later End is called, once.
  virtual void DeliverHere() = 0;

  // Takes the request to object_, which must be set. On the endpoint's executor.
  void Route() {
    std::shared_ptr<Peer> peer = routing_.PeerFor(object_.key.shard());
    if (peer == nullptr) return DeliverHere();
    Forward::Send(this->context_, std::move(peer), this->method_->name(), ToWire(this->request()),
                  this->endpoint_->executor, [this](Forward::Outcome outcome) { OnForwarded(std::move(outcome)); });
  }
  // Ends the call with the outcome of its request, or routes the request again. Any thread.
  void End(const absl::Status& status, bool replayed) {
    if (routing_.Misses(status)) {
      routing_.Missed(object_.key.shard());
      return routing_.Again([this] { Route(); });
    }
    if (status.ok() && replayed) MarkReplayed(&this->context_);
    this->Finish(status);
  }

  RequestObject object_;

 private:
  void OnForwarded(Forward::Outcome outcome) {
    absl::Status status = std::move(outcome.status);
    if (status.ok() && !grpc::SerializationTraits<Response>::Deserialize(&outcome.reply, this->response_).ok()) {
      status = absl::InternalError("the reply of another node is not one of this method");
    }
    if (status.ok()) status = this->ReserveReply();
    End(status, outcome.replayed);
  }

  Routing routing_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ROUTED_CALL_H_
