// A call of several steps on one object, written as a coroutine: reading and writing its stream, turns of the object,
// and work that may block, one after the other.
//
// In a cluster a call for an object of another node passes its messages on to that node (peer_stream.h).
//
// All of a call runs on the executor of its completion queue. The call has a time limit, and each step that
// waits for the client has one of its own. When a limit is reached, the client is gone, or the server drains, the call
// ends after its current step.

#ifndef HOLDFAST_SERVICE_CALL_COROUTINE_CALL_H_
#define HOLDFAST_SERVICE_CALL_COROUTINE_CALL_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/objects/object_turn.h"
#include "actors/objects/plain_object.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/call/peer_stream.h"
#include "service/call/raw_method.h"
#include "service/call/request_object.h"
#include "service/call/routing.h"

namespace holdfast::service {

class CoroutineCall : public Call {
 protected:
  CoroutineCall(const RawMethod* method, Endpoint* endpoint);
  ~CoroutineCall() override;

  // Does the work of the call and returns its outcome.
  virtual actors::Task<absl::Status> Serve() = 0;

  // Passes the second step of the gate for the object that the request names, and finds it: object_.
  template <typename Request>
  absl::Status Admit(const Request& request) {
    return AdmitObject(
        request, nullptr, *endpoint_->classes, [this](const Target& target) { return AdmitTarget(target); }, &object_);
  }

  // A step begins an operation and waits for its end. The coroutine awaits one step at a time.
  class Step {
   public:
    using Begin = absl::AnyInvocable<void()>;
    Step(CoroutineCall* call, Begin begin) : call_(call), begin_(std::move(begin)) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handler) {
      call_->waiting_ = handler;
      begin_();
    }
    // Returns gRPC's `ok` for a step of gRPC: false if the client is gone or has ended its stream. Returns true for
    // other steps.
    bool await_resume() const { return call_->step_ok_; }

   private:
    CoroutineCall* const call_;
    Begin begin_;
  };
  // An operation of gRPC, begun with this tag.
  Step Grpc(absl::AnyInvocable<void(void* tag)> begin);
  // An operation of the stream to the other node, begun with this tag. That node bounds the time of the operation.
  Step Peers(absl::AnyInvocable<void(void* tag)> begin);
  // Work that may block, on these threads.
  Step Work(storage::Background* background, absl::AnyInvocable<void()> work);
  // A turn of the object; its outcome is in outcome().
  Step AnyTurn(actors::ObjectTurn::Body body, actors::RecordedRequest* recorded = nullptr);
  // The same for an object of class Object.
  using PlainBody = absl::AnyInvocable<actors::Task<absl::Status>(actors::PlainObject&)>;
  Step Turn(PlainBody body, actors::RecordedRequest* recorded = nullptr);
  const absl::Status& outcome() const { return outcome_; }

  // Returns an error if the call must end now.
  absl::Status CheckGoesOn() const;
  // Returns whether CheckGoesOn() will return an error, for work that may end early. Any thread may call it.
  bool stopped() const { return stopped_; }

  // --- The object may be on another node of the cluster. That node then does the work: the call passes messages on,
  // one at a time, and its outcome is that of the other node. Looks where the object is, and returns whether it is
  // elsewhere.
  bool IsElsewhere();
  // Opens the stream to that node and sends the first message. `only`: there is no other.
  actors::Task<bool> OpenPeer(const grpc::ByteBuffer& message, bool only);
  // Ends the stream to that node, at once if `status` is an error, and returns the outcome of the call.
  actors::Task<absl::Status> ClosePeer(absl::Status status);

  RequestObject object_;
  std::optional<PeerStream> peer_;  // the stream to the node of the object
  Routing routing_;

 private:
  void Arrived(const absl::Status& admitted) final;
  void OnStep(bool ok);
  void TimeOut();
  void Continue();
  // The client is gone, or the call has ended.
  void OnGone(bool ok);
  void Drain() override { stopped_ = draining_ = true; }

  Operation step_;
  Operation gone_;
  std::optional<actors::Task<absl::Status>> task_;
  std::unique_ptr<actors::ObjectTurn> turn_;  // the last turn
  std::coroutine_handle<> waiting_;
  std::optional<actors::Executor::TimerId> time_limit_;
  std::optional<actors::Executor::TimerId> idle_limit_;  // while a step waits for the client
  absl::Status outcome_;
  bool step_ok_ = true;
  bool draining_ = false;
  bool timed_out_ = false;
  bool cancelled_ = false;
  std::atomic<bool> stopped_{false};
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_COROUTINE_CALL_H_
