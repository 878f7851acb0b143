#include "service/call/item_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::service {

ItemStream::ItemStream(const grpc::ServerContext* call, std::shared_ptr<Peer> peer, const std::string* method,
                       CompletionQueueExecutor* executor, absl::AnyInvocable<void()> on_closed)
    : call_(call), peer_(std::move(peer)), method_(method), executor_(executor), on_closed_(std::move(on_closed)) {}

void ItemStream::Send(const grpc::ByteBuffer& item, Done done) {
  items_.push_back({item, std::move(done)});
  if (stream_ == nullptr) {
    stream_ = ForwardStream::Open(*call_, peer_, *method_, executor_, this);
    stream_->Read();
  }
  WriteNext();
}

void ItemStream::WriteNext() {
  if (writing_ || sent_ == items_.size()) return;
  writing_ = true;
  Item& item = items_[sent_++];
  stream_->Write(item.bytes);
  item.bytes.Clear();
}

void ItemStream::OnWritten() {
  writing_ = false;
  WriteNext();
}

void ItemStream::OnMessage(grpc::ByteBuffer* message) {
  if (sent_ == 0) {
    // A result without an item: the other node does not go by the contract.
    stream_->Cancel();
    return;
  }
  stream_->Read();
  Item item = std::move(items_.front());
  items_.pop_front();
  --sent_;
  item.done(absl::OkStatus(), message);
}

void ItemStream::OnEnded(const absl::Status& outcome) {
  stream_ = nullptr;
  writing_ = false;
  sent_ = 0;
  const absl::Status status =
      outcome.ok() ? absl::UnavailableError(absl::StrCat("the node ", peer_->node(), " has ended its stream"))
                   : outcome;
  for (Item& item : std::exchange(items_, {})) item.done(status, nullptr);
  on_closed_();
}

void ItemStream::Close() {
  if (stream_ != nullptr) stream_->Close();
}

void ItemStream::Cancel() {
  if (stream_ != nullptr) stream_->Cancel();
}

}  // namespace holdfast::service
