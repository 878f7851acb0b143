#include "service/call/watch_call.h"

#include <utility>

#include "service/call/status.h"

namespace holdfast::service {

WatchCall::WatchCall(const RawMethod* method, Endpoint* endpoint)
    : Call(method, CallGate::Shape::kStream, endpoint),
      writer_(&context_),
      write_(this, &WatchCall::OnWritten),
      gone_(this, &WatchCall::OnGone) {
  // This must come before the call is asked for.
  context_.AsyncNotifyWhenDone(gone_.Begin());
  method->ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
}

void WatchCall::Arrived(const absl::Status& admitted) {
  absl::Status status = admitted;
  if (status.ok()) status = Begin();
  if (!status.ok()) End(status);
  Go();
}

void WatchCall::Send(const absl::Status& outcome, void* tag) { writer_.Finish(ToGrpc(outcome), tag); }

void WatchCall::SendHeaders() { writer_.SendInitialMetadata(write_.Begin()); }

void WatchCall::End(const absl::Status& outcome) {
  if (ended_) return;
  ended_ = true;
  outcome_ = outcome;
  OnEnd();
}

void WatchCall::Go() {
  // Replies may still come after the end: they were under way.
  if (broken_ || finishing()) DropReplies();
  if (write_.pending() || finishing()) return;
  grpc::ByteBuffer reply;
  if (!broken_ && TakeReply(&reply)) {
    BeginSending();
    CountSent(reply.Length());
    // Where several executors poll, gRPC has kept such replies for good (stream_call.h).
    if (endpoint_->alone && HasReply()) {
      writer_.Write(reply, grpc::WriteOptions().set_buffer_hint(), write_.Begin());
    } else {
      SendSoon([this, reply, tag = write_.Begin()] { writer_.Write(reply, tag); });
    }
  } else if (ended_) {
    Finish(outcome_);
  }
}

void WatchCall::OnWritten(bool ok) {
  EndSending();
  if (!ok) Break();
  Go();
}

void WatchCall::OnGone(bool) {
  Break();
  Go();
}

void WatchCall::Break() {
  broken_ = true;
  End(absl::CancelledError("the client is gone"));
}

void WatchCall::EndDenied(const absl::Status& why) {
  End(why);
  Go();
}

void WatchCall::Drain() {
  End(CallGate::Draining());
  Go();
}

}  // namespace holdfast::service
