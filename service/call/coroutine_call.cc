#include "service/call/coroutine_call.h"

#include <utility>

namespace holdfast::service {

CoroutineCall::CoroutineCall(const RawMethod* method, Endpoint* endpoint)
    : Call(method, CallGate::Shape::kStream, endpoint),
      routing_(endpoint, &lease_),
      step_(this, &CoroutineCall::OnStep),
      gone_(this, &CoroutineCall::OnGone) {
  // This must come before the call is asked for.
  context_.AsyncNotifyWhenDone(gone_.Begin());
}

CoroutineCall::~CoroutineCall() {
  if (time_limit_) endpoint_->executor->Cancel(*time_limit_);
}

void CoroutineCall::Arrived(const absl::Status& admitted) {
  if (!admitted.ok()) return Finish(admitted);
  time_limit_ = endpoint_->executor->After(endpoint_->transfer_time_max, [this] {
    time_limit_.reset();
    TimeOut();
  });
  task_.emplace(Serve());
  task_->Start();
  Continue();
}

void CoroutineCall::Continue() {
  if (!task_->done()) return;
  const absl::Status status = task_->TakeResult();
  task_.reset();
  Finish(status);
}

void CoroutineCall::OnGone(bool) {
  cancelled_ = context_.IsCancelled();
  if (cancelled_) stopped_ = true;
}

void CoroutineCall::TimeOut() {
  stopped_ = timed_out_ = true;
  context_.TryCancel();
  if (peer_) peer_->Cancel();
}

void CoroutineCall::OnStep(bool ok) {
  if (idle_limit_) endpoint_->executor->Cancel(*idle_limit_);
  idle_limit_.reset();
  step_ok_ = ok;
  waiting_.resume();
  Continue();
}

CoroutineCall::Step CoroutineCall::Grpc(absl::AnyInvocable<void(void* tag)> begin) {
  return Step(this, [this, begin = std::move(begin)]() mutable {
    idle_limit_ = endpoint_->executor->After(endpoint_->transfer_idle_max, [this] {
      idle_limit_.reset();
      TimeOut();
    });
    begin(step_.Begin());
  });
}

CoroutineCall::Step CoroutineCall::Peers(absl::AnyInvocable<void(void* tag)> begin) {
  return Step(this, [this, begin = std::move(begin)]() mutable { begin(step_.Begin()); });
}

bool CoroutineCall::IsElsewhere() {
  std::shared_ptr<Peer> peer = routing_.PeerFor(object_.key.shard());
  if (peer == nullptr) return false;
  peer_.emplace(context_, std::move(peer), method_->name(), endpoint_->executor);
  return true;
}

actors::Task<bool> CoroutineCall::OpenPeer(const grpc::ByteBuffer& message, bool only) {
  if (!co_await Peers([this](void* tag) { (*peer_)->StartCall(tag); })) co_return false;
  co_return co_await Peers([&](void* tag) {
    if (only) {
      (*peer_)->WriteLast(message, grpc::WriteOptions(), tag);
    } else {
      (*peer_)->Write(message, tag);
    }
  });
}

actors::Task<absl::Status> CoroutineCall::ClosePeer(absl::Status status) {
  if (!status.ok()) peer_->Cancel();
  // gRPC tells the outcome when all messages were read.
  grpc::ByteBuffer dropped;
  while (co_await Peers([&](void* tag) { (*peer_)->Read(&dropped, tag); })) {
  }
  co_await Peers([this](void* tag) { peer_->Finish(tag); });
  if (status.ok()) status = peer_->outcome();
  // The other node does not know why a call was cancelled.
  if (absl::Status ended = CheckGoesOn(); !status.ok() && !ended.ok()) status = ended;
  co_return status;
}

CoroutineCall::Step CoroutineCall::Work(storage::Background* background, absl::AnyInvocable<void()> work) {
  return Step(this, [this, background, work = std::move(work)]() mutable {
    background->Run(std::move(work), [this] { OnStep(true); });
  });
}

CoroutineCall::Step CoroutineCall::AnyTurn(actors::ObjectTurn::Body body, actors::RecordedRequest* recorded) {
  return Step(this, [this, body = std::move(body), recorded]() mutable {
    TracedDelivery* const traced = TraceDelivery();
    const auto end = [this, traced](const absl::Status& status) {
      if (traced != nullptr) traced->End(status);
      endpoint_->executor->Post([this, status] {
        outcome_ = status;
        OnStep(true);
      });
    };
    turn_ = std::make_unique<actors::ObjectTurn>(std::move(body), end, recorded);
    if (traced != nullptr) turn_->times = traced->Queued(object_.key, object_.object_class);
    endpoint_->router->Deliver(object_.key, object_.object_class, turn_.get());
  });
}

CoroutineCall::Step CoroutineCall::Turn(PlainBody body, actors::RecordedRequest* recorded) {
  return AnyTurn([body = std::move(body)](
                     actors::Object& object) mutable { return body(static_cast<actors::PlainObject&>(object)); },
                 recorded);
}

absl::Status CoroutineCall::CheckGoesOn() const {
  if (timed_out_) {
    return actors::Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SQL_TIME_LIMIT,
                         "the transfer took too long, or its client was idle for too long; nothing was done");
  }
  if (draining_) return CallGate::Draining();
  if (cancelled_) return absl::CancelledError("the client is gone");
  return absl::OkStatus();
}

}  // namespace holdfast::service
