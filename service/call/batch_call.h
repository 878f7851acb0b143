// A call with many requests, each for an object of its own: BatchIncrement. Each item is a delivery like any other,
// with a turn of its own; they are handed over to the executors of their objects together. The reply is sent when all
// items have their outcome, so when all are durable. An item's error is its result.

#ifndef HOLDFAST_SERVICE_CALL_BATCH_CALL_H_
#define HOLDFAST_SERVICE_CALL_BATCH_CALL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "actors/runtime/delivery.h"
#include "actors/wire/errors.h"
#include "service/call/item_delivery.h"
#include "service/call/reply_call.h"
#include "service/call/status.h"

namespace holdfast::service {

// Describes a batch method. `Batch` is the request, `Reply` the reply; `items` and `add_result` reach into them.
template <typename Batch, typename Reply, typename Item, typename ItemResponse, typename Result>
struct BatchMethod {
  RawMethod raw;
  const google::protobuf::RepeatedPtrField<Item>& (Batch::*items)() const;
  const char* items_field;
  int items_max;
  Result* (Reply::*add_result)();
  ItemHandler<Item, ItemResponse> handle;
  std::string item_method;
  const actors::ObjectClass* object_class;
};

template <typename Batch, typename Reply, typename Item, typename ItemResponse, typename Result>
class BatchCall final : public ReplyCall<Batch, Reply> {
 public:
  using Method = BatchMethod<Batch, Reply, Item, ItemResponse, Result>;

  static void Post(const Method* row, Endpoint* endpoint) { new BatchCall(row, endpoint); }

 private:
  using Delivery = ItemDelivery<Item, ItemResponse>;

  // The bytes that an item takes beside its request, while it is in progress and as a result.
  static constexpr size_t kItemBytes = sizeof(Delivery) + 512;

  BatchCall(const Method* row, Endpoint* endpoint) : ReplyCall<Batch, Reply>(&row->raw, endpoint), row_(row) {}

  void PostNext() override { Post(row_, this->endpoint_); }
  bool HasManyParts() const override { return true; }

  absl::Status Begin() override {
    const auto& items = (this->request().*row_->items)();
    if (items.empty() || items.size() > row_->items_max) {
      return actors::InvalidField(row_->items_field, absl::StrCat("must be 1 to ", row_->items_max, " items"));
    }
    if (absl::Status status = this->AdmitTarget(Target::Items()); !status.ok()) return status;
    const size_t bytes = static_cast<size_t>(items.size()) * kItemBytes;
    if (absl::Status status = this->lease_.ReserveReply(bytes); !status.ok()) return status;
    // The count is one more than the items, so that the call cannot finish before all items have begun.
    left_ = items.size() + 1;
    deliveries_ = std::make_unique<std::optional<Delivery>[]>(items.size());
    std::vector<actors::Addressed> admitted;
    admitted.reserve(items.size());
    const absl::Time deadline = DeadlineOf(this->context_, this->endpoint_->executor->clock());
    for (int i = 0; i < items.size(); ++i) {
      Result* const result = (this->response_->*row_->add_result)();
      Delivery& delivery =
          deliveries_[i].emplace(row_->handle, &row_->item_method, &items[i], result->mutable_response(),
                                 [this, result](const absl::Status& status) {
                                   if (!status.ok()) ToItemError(status, result->mutable_error());
                                   OneEnded();
                                 });
      const bool begun = delivery.Begin(
          this->endpoint_, [this](const Target& target) { return this->AdmitTarget(target); }, row_->object_class,
          deadline, this->trace_.get());
      if (begun) admitted.push_back(delivery.addressed());
    }
    this->endpoint_->router->Deliver(std::move(admitted));
    OneEnded();
    return absl::OkStatus();
  }

  // Sends the reply when it has been called for every item and once by Begin(). Any executor may call it.
  void OneEnded() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) this->Finish(absl::OkStatus());
  }

  const Method* const row_;
  std::unique_ptr<std::optional<Delivery>[]> deliveries_;  // one for each item
  std::atomic<int> left_ = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_BATCH_CALL_H_
