// A call with many requests, each for an object of its own: BatchIncrement. Each item is a delivery like any other,
// with a turn of its own; they are handed over to the executors of their objects together. The reply is sent when all
// items have their outcome, so when all are durable. An item's error is its result.
//
// In a cluster the items of another node go there together, as a batch of the same method. Items that have missed their
// objects are routed again together when all others have ended, so items of one object keep their order.

#ifndef HOLDFAST_SERVICE_CALL_BATCH_CALL_H_
#define HOLDFAST_SERVICE_CALL_BATCH_CALL_H_

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "actors/runtime/delivery.h"
#include "actors/wire/errors.h"
#include "service/call/forward.h"
#include "service/call/item_delivery.h"
#include "service/call/reply_call.h"
#include "service/call/reply_wire.h"
#include "service/call/routing.h"
#include "service/call/status.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

// Describes a batch method. `Batch` is the request, `Reply` the reply; the functions reach into them.
template <typename Batch, typename Reply, typename Item, typename ItemResponse, typename Result>
struct BatchMethod {
  RawMethod raw;
  const google::protobuf::RepeatedPtrField<Item>& (Batch::*items)() const;
  const char* items_field;
  int items_max;
  Item* (Batch::*add_item)();
  Result* (Reply::*add_result)();
  google::protobuf::RepeatedPtrField<Result>* (Reply::*results)();
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

  BatchCall(const Method* row, Endpoint* endpoint)
      : ReplyCall<Batch, Reply>(&row->raw, endpoint), row_(row), routing_(endpoint, &this->lease_) {}

  void PostNext() override { Post(row_, this->endpoint_); }
  bool HasManyParts() const override { return true; }

  const google::protobuf::RepeatedPtrField<Item>& items() const { return (this->request().*row_->items)(); }

  absl::Status Begin() override {
    if (items().empty() || items().size() > row_->items_max) {
      return actors::InvalidField(row_->items_field, absl::StrCat("must be 1 to ", row_->items_max, " items"));
    }
    if (absl::Status status = this->AdmitTarget(Target::Items()); !status.ok()) return status;
    const auto count = static_cast<size_t>(items().size());
    size_t bytes = count * kItemBytes;
    // Requests to other nodes hold copies of the items.
    if (routing_.spreads()) bytes += this->request_bytes();
    if (absl::Status status = this->lease_.ReserveReply(bytes); !status.ok()) return status;
    // The count is one more than the items, so that the call cannot finish before all items have begun.
    left_ = items().size() + 1;
    deliveries_ = std::make_unique<std::optional<Delivery>[]>(count);
    if (routing_.spreads()) missed_ = std::make_unique<bool[]>(count);
    std::vector<size_t> admitted;
    admitted.reserve(count);
    const absl::Time deadline = DeadlineOf(this->context_, this->endpoint_->executor->clock());
    for (size_t i = 0; i < count; ++i) {
      Result* const result = (this->response_->*row_->add_result)();
      Delivery& delivery = deliveries_[i].emplace(
          row_->handle, &row_->item_method, &items()[static_cast<int>(i)], result->mutable_response(),
          [this, result](const absl::Status& status) {
            if (!status.ok()) ToItemError(status, result->mutable_error());
            OneEnded();
          },
          [this, i](const absl::Status& status) { return Missed(i, status); });
      const bool begun = delivery.Begin(
          this->endpoint_, [this](const Target& target) { return this->AdmitTarget(target); }, row_->object_class,
          deadline, this->trace_.get());
      if (begun) admitted.push_back(i);
    }
    Route(admitted);
    OneEnded();
    return absl::OkStatus();
  }

  // Takes the items to their objects, here or on other nodes.
  void Route(const std::vector<size_t>& admitted) {
    std::vector<actors::Addressed> here;
    here.reserve(admitted.size());
    // The map of shards may change meanwhile. All items of a shard go the same way.
    absl::flat_hash_map<storage::ShardId, std::shared_ptr<Peer>> ways;
    std::map<std::shared_ptr<Peer>, std::vector<size_t>> elsewhere;
    for (const size_t i : admitted) {
      const std::shared_ptr<Peer>* peer = nullptr;
      if (routing_.spreads()) {
        const storage::ShardId shard = deliveries_[i]->shard();
        const auto [way, added] = ways.try_emplace(shard);
        if (added) way->second = routing_.PeerFor(shard);
        peer = &way->second;
      }
      if (peer != nullptr && *peer != nullptr) {
        elsewhere[*peer].push_back(i);
      } else {
        here.push_back(deliveries_[i]->addressed());
      }
    }
    for (auto& [peer, numbers] : elsewhere) SendOn(peer, std::move(numbers));
    this->endpoint_->router->Deliver(std::move(here));
  }

  void SendOn(const std::shared_ptr<Peer>& peer, std::vector<size_t> numbers) {
    Batch batch;
    for (const size_t i : numbers) *(batch.*row_->add_item)() = items()[static_cast<int>(i)];
    Forward::Send(this->context_, peer, row_->raw.name(), ToWire(batch), this->endpoint_->executor,
                  [this, numbers = std::move(numbers)](Forward::Outcome outcome) { OnForwarded(numbers, &outcome); });
  }
  void OnForwarded(const std::vector<size_t>& numbers, Forward::Outcome* outcome) {
    Reply reply;
    absl::Status status = outcome->status;
    auto* const results = (reply.*row_->results)();
    if (status.ok() && (!grpc::SerializationTraits<Reply>::Deserialize(&outcome->reply, &reply).ok() ||
                        static_cast<size_t>(results->size()) != numbers.size())) {
      status = absl::InternalError("the reply of another node is not one of this method");
    }
    // The call may be gone after its last item.
    for (size_t i = 0; i < numbers.size(); ++i) {
      Delivery& delivery = *deliveries_[numbers[i]];
      if (status.ok()) {
        delivery.EndWith(results->Mutable(static_cast<int>(i)));
      } else {
        delivery.Done(status);
      }
    }
  }

  // Returns whether the item is to be routed again; it has then ended this time. Any executor may call it.
  bool Missed(size_t number, const absl::Status& status) {
    if (!routing_.Misses(status)) return false;
    routing_.Missed(deliveries_[number]->shard());
    missed_[number] = true;
    any_missed_.store(true, std::memory_order_relaxed);
    OneEnded();
    return true;
  }
  void RouteMissed() {
    any_missed_.store(false, std::memory_order_relaxed);
    std::vector<size_t> missed;
    for (size_t i = 0; i < static_cast<size_t>(items().size()); ++i) {
      if (std::exchange(missed_[i], false)) missed.push_back(i);
    }
    left_ = static_cast<int>(missed.size()) + 1;
    Route(missed);
    OneEnded();
  }

  // Sends the reply, or routes again what has missed, when it has been called for every item that was routed and once
  // by whoever has routed them. Any executor may call it.
  void OneEnded() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (any_missed_.load(std::memory_order_relaxed)) {
      routing_.Again([this] { RouteMissed(); });
    } else {
      this->Finish(absl::OkStatus());
    }
  }

  const Method* const row_;
  std::unique_ptr<std::optional<Delivery>[]> deliveries_;  // one for each item
  std::atomic<int> left_ = 0;
  Routing routing_;
  std::unique_ptr<bool[]> missed_;  // in a cluster: the items that have missed their objects this time
  std::atomic<bool> any_missed_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_BATCH_CALL_H_
