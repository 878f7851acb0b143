// A call with a stream of requests, each for an object of its own, and a stream of their results in request order:
// StreamIncrement. So many items at most are under way; then the stream is read no further until the first of them is
// answered, and gRPC's flow control holds the client. A result is written when it is durable and all before it are.
//
// Everything of a call happens on the executor of its completion queue; outcomes of objects elsewhere are posted to it.
// When the server drains, the items that were read are answered and the call ends with DRAINING.

#ifndef HOLDFAST_SERVICE_STREAM_CALL_H_
#define HOLDFAST_SERVICE_STREAM_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "service/completion_queue_executor.h"
#include "service/endpoint.h"
#include "service/item_delivery.h"
#include "service/status.h"

namespace holdfast::service {

template <typename Request, typename Response, typename Item, typename ItemResponse>
struct StreamMethod {
  using Stream = grpc::ServerAsyncReaderWriter<Response, Request>;
  std::function<void(grpc::ServerContext*, Stream*, grpc::ServerCompletionQueue*, void* tag)> receive;
  const Item& (Request::*item)() const;
  // The result that the item's response or error goes into.
  decltype(std::declval<Response>().mutable_result()) (Response::*result)();
  ItemHandler<Item, ItemResponse> handle;
  std::string item_method;
  const actors::ObjectClass* object_class;
};

template <typename Request, typename Response, typename Item, typename ItemResponse>
class StreamCall final : public Event, private OpenStream {
 public:
  using Method = StreamMethod<Request, Response, Item, ItemResponse>;

  static void Post(const Method* method, Endpoint* endpoint) {
    auto* call = new StreamCall(method, endpoint);
    call->method_->receive(&call->context_, &call->stream_, endpoint->executor->queue(), call->Tag());
  }

  // The call has arrived, or the server shuts down.
  void OnEvent(bool ok) override {
    if (!ok) {
      delete this;
      return;
    }
    Post(method_, endpoint_);
    endpoint_->streams.insert(this);
    outcome_ = endpoint_->admission->Begin();
    if (!outcome_.ok()) ended_ = true;
    Go();
  }

 private:
  using Operation = StreamOperation<StreamCall>;

  struct Entry {
    Request request;
    Response response;
    std::unique_ptr<ItemDelivery<Item, ItemResponse>> delivery;
    bool done = false;
  };

  StreamCall(const Method* method, Endpoint* endpoint)
      : method_(method),
        endpoint_(endpoint),
        stream_(&context_),
        read_(this, &StreamCall::OnRead),
        write_(this, &StreamCall::OnWritten),
        finish_(this, &StreamCall::OnFinished) {}

  // Begins whatever can be begun.
  void Go() {
    if (!read_.pending() && !ended_ && entries_.size() < endpoint_->stream_outstanding_max) {
      next_ = std::make_unique<Entry>();
      stream_.Read(&next_->request, read_.Begin());
    }
    if (!write_.pending() && !broken_ && !entries_.empty() && entries_.front()->done) {
      grpc::WriteOptions options;
      // More are ready: they may share a packet.
      if (entries_.size() > 1 && entries_[1]->done) options.set_buffer_hint();
      stream_.Write(entries_.front()->response, options, write_.Begin());
    }
    if (broken_) {
      // Nobody is there to read; what has begun is waited for.
      while (!write_.pending() && !entries_.empty() && entries_.front()->done) entries_.pop_front();
    }
    if (ended_ && entries_.empty() && !write_.pending() && !finishing_) {
      finishing_ = true;
      stream_.Finish(ToGrpc(outcome_), finish_.Begin());
    }
  }

  void OnRead(bool ok) {
    if (!ok || ended_) {
      ended_ = true;
      MaybeDelete();
      return;
    }
    Entry* const entry = entries_.emplace_back(std::move(next_)).get();
    auto* const result = (entry->response.*method_->result)();
    entry->delivery = std::make_unique<ItemDelivery<Item, ItemResponse>>(
        method_->handle, &method_->item_method, &(entry->request.*method_->item)(), result->mutable_response(),
        [this, entry, result](const absl::Status& status) {
          if (!status.ok()) ToItemError(status, result->mutable_error());
          if (endpoint_->executor->IsCurrent()) {
            OnOutcome(entry);
          } else {
            endpoint_->executor->Post([this, entry] { OnOutcome(entry); });
          }
        });
    entry->delivery->Begin(endpoint_, method_->object_class, DeadlineOf(context_));
    Go();
  }

  void OnOutcome(Entry* entry) {
    entry->done = true;
    Go();
  }

  void OnWritten(bool ok) {
    broken_ = broken_ || !ok;
    ended_ = ended_ || !ok;
    entries_.pop_front();
    Go();
  }

  void OnFinished(bool) {
    finished_ = true;
    endpoint_->streams.erase(this);
    endpoint_->admission->End();
    MaybeDelete();
  }

  void MaybeDelete() {
    if (!finished_) {
      Go();
    } else if (!read_.pending()) {
      delete this;
    }
  }

  void Drain() override {
    if (ended_) return;
    ended_ = true;
    outcome_ = Admission::Draining();
    Go();
  }

  const Method* const method_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  typename Method::Stream stream_;
  Operation read_;
  Operation write_;
  Operation finish_;
  std::unique_ptr<Entry> next_;                 // being read into
  std::deque<std::unique_ptr<Entry>> entries_;  // read and not answered
  absl::Status outcome_;
  bool ended_ = false;   // nothing more is read
  bool broken_ = false;  // the client is gone
  bool finishing_ = false;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_STREAM_CALL_H_
