// A call with many requests, each for an object of its own: BatchIncrement. Each item is a delivery like any other; the
// reply is sent when all have their outcome, which is when all are durable. An item's error is its result.

#ifndef HOLDFAST_SERVICE_BATCH_CALL_H_
#define HOLDFAST_SERVICE_BATCH_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <atomic>
#include <deque>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "actors/delivery.h"
#include "actors/errors.h"
#include "service/completion_queue_executor.h"
#include "service/endpoint.h"
#include "service/item_delivery.h"
#include "service/status.h"

namespace holdfast::service {

// `Batch` is the request, `Reply` the reply; `items` and `add_result` reach into them.
template <typename Batch, typename Reply, typename Item, typename ItemResponse, typename Result>
struct BatchMethod {
  std::function<void(grpc::ServerContext*, Batch*, grpc::ServerAsyncResponseWriter<Reply>*,
                     grpc::ServerCompletionQueue*, void* tag)>
      receive;
  const google::protobuf::RepeatedPtrField<Item>& (Batch::*items)() const;
  const char* items_field;
  int items_max;
  Result* (Reply::*add_result)();
  ItemHandler<Item, ItemResponse> handle;
  std::string item_method;
  const actors::ObjectClass* object_class;
};

template <typename Batch, typename Reply, typename Item, typename ItemResponse, typename Result>
class BatchCall final : public Event {
 public:
  using Method = BatchMethod<Batch, Reply, Item, ItemResponse, Result>;

  static void Post(const Method* method, Endpoint* endpoint) {
    auto* call = new BatchCall(method, endpoint);
    call->method_->receive(&call->context_, &call->request_, &call->writer_, endpoint->executor->queue(), call->Tag());
  }

  void OnEvent(bool ok) override {
    if (finished_ || !ok) {
      if (finished_) endpoint_->admission->End();
      delete this;
      return;
    }
    Post(method_, endpoint_);
    if (absl::Status status = Begin(); !status.ok()) Finish(status);
  }

 private:
  using Delivery = ItemDelivery<Item, ItemResponse>;

  BatchCall(const Method* method, Endpoint* endpoint) : method_(method), endpoint_(endpoint), writer_(&context_) {}

  absl::Status Begin() {
    if (absl::Status status = endpoint_->admission->Begin(); !status.ok()) return status;
    const auto& items = (request_.*method_->items)();
    if (items.empty() || items.size() > method_->items_max) {
      return actors::InvalidField(method_->items_field, absl::StrCat("must be 1 to ", method_->items_max, " items"));
    }
    // One more than the items, so that the last one to end cannot do so before all have begun.
    left_ = items.size() + 1;
    for (const Item& item : items) {
      Result* const result = (reply_.*method_->add_result)();
      deliveries_.emplace_back(method_->handle, &method_->item_method, &item, result->mutable_response(),
                               [this, result](const absl::Status& status) {
                                 if (!status.ok()) ToItemError(status, result->mutable_error());
                                 OneEnded();
                               });
    }
    for (Delivery& delivery : deliveries_) delivery.Begin(endpoint_, method_->object_class, DeadlineOf(context_));
    OneEnded();
    return absl::OkStatus();
  }

  // On any executor.
  void OneEnded() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) Finish(absl::OkStatus());
  }

  void Finish(const absl::Status& status) {
    finished_ = true;
    if (status.ok()) {
      writer_.Finish(reply_, grpc::Status::OK, Tag());
    } else {
      writer_.FinishWithError(ToGrpc(status), Tag());
    }
  }

  const Method* const method_;
  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  Batch request_;
  Reply reply_;
  std::deque<Delivery> deliveries_;
  std::atomic<int> left_ = 0;
  grpc::ServerAsyncResponseWriter<Reply> writer_;
  bool finished_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_BATCH_CALL_H_
