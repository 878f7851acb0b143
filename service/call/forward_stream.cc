#include "service/call/forward_stream.h"

#include <utility>

#include "service/call/forward.h"

namespace holdfast::service {

ForwardStream::ForwardStream(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer,
                             const std::string& method, CompletionQueueExecutor* executor, Owner* owner)
    : peer_(peer, ContextToPeer(call, *peer)),
      stream_(peer_.stub().PrepareCall(peer_.context(), PathOf(method), executor->queue())),
      owner_(owner),
      start_(this, &ForwardStream::OnStarted),
      write_(this, &ForwardStream::OnWritten),
      read_(this, &ForwardStream::OnRead),
      finish_(this, &ForwardStream::OnFinished) {}

ForwardStream* ForwardStream::Open(const grpc::ServerContext& call, const std::shared_ptr<Peer>& peer,
                                   const std::string& method, CompletionQueueExecutor* executor, Owner* owner) {
  auto* const stream = new ForwardStream(call, peer, method, executor, owner);
  stream->stream_->StartCall(stream->start_.Begin());
  return stream;
}

void ForwardStream::Write(const grpc::ByteBuffer& message) {
  to_write_ = message;
  Go();
}

void ForwardStream::Close() {
  close_wanted_ = true;
  Go();
}

void ForwardStream::Read() {
  read_wanted_ = true;
  Go();
}

void ForwardStream::Cancel() {
  cancelled_ = true;
  peer_.context()->TryCancel();
  Go();
}

void ForwardStream::Go() {
  if (start_.pending() || finish_.pending()) return;
  if (!write_.pending() && !mute_ && !closed_) {
    if (to_write_) {
      stream_->Write(*to_write_, write_.Begin());
      to_write_.reset();
    } else if (close_wanted_) {
      mute_ = true;
      stream_->WritesDone(write_.Begin());
    }
  }
  if (read_.pending()) return;
  if (!closed_) {
    // gRPC tells the outcome when all messages were read.
    if (std::exchange(read_wanted_, false) || cancelled_) stream_->Read(&message_, read_.Begin());
  } else if (!finished_) {
    stream_->Finish(&status_, finish_.Begin());
  } else if (!write_.pending()) {
    const absl::Status outcome = FromPeer(*peer_, status_);
    Owner* const owner = owner_;
    delete this;
    owner->OnEnded(outcome);
  }
}

void ForwardStream::OnStarted(bool ok) {
  closed_ = !ok;
  Go();
}

void ForwardStream::OnWritten(bool ok) {
  mute_ = mute_ || !ok;
  if (!mute_ && !closed_ && !cancelled_) owner_->OnWritten();
  Go();
}

void ForwardStream::OnRead(bool ok) {
  closed_ = !ok;
  if (ok && !cancelled_) {
    grpc::ByteBuffer message;
    message.Swap(&message_);
    owner_->OnMessage(&message);
  }
  Go();
}

void ForwardStream::OnFinished(bool) {
  finished_ = true;
  Go();
}

}  // namespace holdfast::service
