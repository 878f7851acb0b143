// A call with a stream of requests, each for an object of its own, and a stream of their results in request order:
// StreamIncrement. At most stream_outstanding_max items are in progress; then the stream is read no further until the
// first of them is answered, and gRPC's flow control holds the client back. A result is written when its item and all
// items before it are durable.
//
// In a cluster the items of another node go there over a stream of its own (item_stream.h). While an item that has
// missed its object waits to be routed again, new items wait too, so items of one object keep their order.
//
// All of a call runs on the executor of its completion queue; outcomes of objects elsewhere are posted to it.
// When the server drains, the items that were read are answered and the call ends with DRAINING.

#ifndef HOLDFAST_SERVICE_CALL_STREAM_CALL_H_
#define HOLDFAST_SERVICE_CALL_STREAM_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/call/item_delivery.h"
#include "service/call/item_stream.h"
#include "service/call/raw_method.h"
#include "service/call/reply_wire.h"
#include "service/call/routing.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

template <typename Request, typename Response, typename Item, typename ItemResponse>
struct StreamMethod {
  RawMethod raw;
  const Item& (Request::*item)() const;
  // Returns the result, which takes the item's response or error.
  decltype(std::declval<Response>().mutable_result()) (Response::*result)();
  ItemHandler<Item, ItemResponse> handle;
  std::string item_method;
  const actors::ObjectClass* object_class;
};

template <typename Request, typename Response, typename Item, typename ItemResponse>
class StreamCall final : public Call {
 public:
  using Method = StreamMethod<Request, Response, Item, ItemResponse>;

  static void Post(const Method* row, Endpoint* endpoint) {
    auto* call = new StreamCall(row, endpoint);
    row->raw.ReceiveStream(&call->context_, &call->stream_, endpoint->executor->queue(), call->Tag());
  }

 private:
  struct Entry {
    Entry(const Endpoint* endpoint, const CallGate::Lease* lease) : routing(endpoint, lease) {}

    Request request;
    Response response;
    std::optional<ItemDelivery<Item, ItemResponse>> delivery;
    size_t bytes = 0;  // the entry's bytes in the lease
    Routing routing;
    bool admitted = false;  // it is to be delivered
    bool routed = false;    // it is on its way or with its object
    bool done = false;
  };

  // The way of the routed items of a shard: to another node, or null.
  struct Way {
    const Peer* to;
    int items = 0;
  };

  StreamCall(const Method* row, Endpoint* endpoint)
      : Call(&row->raw, CallGate::Shape::kStream, endpoint),
        row_(row),
        stream_(&context_),
        read_(this, &StreamCall::OnRead),
        write_(this, &StreamCall::OnWritten) {}

  void PostNext() override { Post(row_, endpoint_); }
  void Arrived(const absl::Status& admitted) override {
    deadline_ = DeadlineOf(context_, endpoint_->executor->clock());
    outcome_ = admitted;
    if (outcome_.ok()) outcome_ = AdmitTarget(Target::Items());
    if (!outcome_.ok()) ended_ = true;
    Go();
  }
  void Send(const absl::Status& outcome, void* tag) override { stream_.Finish(ToGrpc(outcome), tag); }

  // Begins whatever can be begun.
  void Go() {
    if (!read_.pending() && !ended_ && entries_.size() < endpoint_->stream_outstanding_max) {
      stream_.Read(&bytes_, read_.Begin());
    }
    if (!write_.pending() && !broken_ && !entries_.empty() && entries_.front()->done) {
      BeginSending();
      grpc::ByteBuffer result = ToWire(entries_.front()->response);
      CountSent(result.Length());
      // The next result is ready too, so the two may share a packet. Where several executors poll, gRPC has kept such
      // results for good.
      if (endpoint_->alone && entries_.size() > 1 && entries_[1]->done) {
        stream_.Write(result, grpc::WriteOptions().set_buffer_hint(), write_.Begin());
      } else {
        SendSoon([this, result, tag = write_.Begin()] { stream_.Write(result, tag); });
      }
    }
    if (broken_) {
      // The client is gone. Results are dropped, and the items in progress are waited for.
      while (!write_.pending() && !entries_.empty() && entries_.front()->done) PopFront();
    }
    if (ended_ && entries_.empty() && !write_.pending() && !finishing() && PeersClosed()) Finish(outcome_);
  }

  void OnRead(bool ok) {
    if (!ok || ended_) {
      ended_ = true;
      Go();
      return;
    }
    Used();
    CountReceived(bytes_.Length());
    Entry* const entry = entries_.emplace_back(std::make_unique<Entry>(endpoint_, &lease_)).get();
    if (absl::Status status = Begin(entry); !status.ok()) {
      ToItemError(status, (entry->response.*row_->result)()->mutable_error());
      entry->done = true;
    }
    Go();
  }

  // Begins an item. An error is the result of the item.
  absl::Status Begin(Entry* entry) {
    if (absl::Status status = ParseSmall(&bytes_, &entry->request); !status.ok()) return status;
    // The result is small; the lease counts it with its request, and the copy that may go to another node.
    const size_t wire_bytes = entry->routing.spreads() ? entry->request.ByteSizeLong() : 0;
    const size_t bytes = MemoryBytes(entry->request) + wire_bytes + sizeof(Entry);
    if (absl::Status status = lease_.ReserveReply(entries_bytes_ + bytes); !status.ok()) return status;
    entry->bytes = bytes;
    entries_bytes_ += bytes;
    auto& delivery = entry->delivery.emplace(
        row_->handle, &row_->item_method, &(entry->request.*row_->item)(),
        (entry->response.*row_->result)()->mutable_response(),
        [this, entry](const absl::Status& status) {
          if (!status.ok()) ToItemError(status, (entry->response.*row_->result)()->mutable_error());
          OnExecutor([this, entry] { OnOutcome(entry); });
        },
        [this, entry](const absl::Status& status) { return Missed(entry, status); });
    entry->admitted = delivery.Begin(
        endpoint_, [this](const Target& target) { return AdmitTarget(target); }, row_->object_class, deadline_,
        trace_.get());
    if (entry->admitted && !waiting_) Route(entry);
    return absl::OkStatus();
  }

  template <typename Work>
  void OnExecutor(Work work) {
    if (endpoint_->executor->IsCurrent()) {
      work();
    } else {
      endpoint_->executor->Post(std::move(work));
    }
  }

  // Takes the item to its object, here or on another node. It waits if items of its shard went another way and are not
  // back yet.
  void Route(Entry* entry) {
    const storage::ShardId shard = entry->delivery->shard();
    std::shared_ptr<Peer> peer = entry->routing.PeerFor(shard);
    if (entry->routing.spreads()) {
      Way& way = ways_.try_emplace(shard, Way{peer.get()}).first->second;
      if (way.to != peer.get()) {
        waiting_ = true;
        return;
      }
      ++way.items;
    }
    entry->routed = true;
    ++routed_;
    if (peer == nullptr) {
      const actors::Addressed item = entry->delivery->addressed();
      endpoint_->router->Deliver(*item.key, item.object_class, item.delivery);
      return;
    }
    auto& items = peers_[peer];
    if (items == nullptr) {
      items = std::make_unique<ItemStream>(&context_, std::move(peer), &row_->raw.name(), endpoint_->executor,
                                           [this] { Go(); });
    }
    items->Send(ToWire(entry->request), [this, entry](const absl::Status& status, grpc::ByteBuffer* result) {
      OnForwarded(entry, status, result);
    });
  }
  void OnForwarded(Entry* entry, const absl::Status& status, grpc::ByteBuffer* result) {
    if (!status.ok()) return entry->delivery->Done(status);
    Response response;
    if (grpc::SerializationTraits<Response>::Deserialize(result, &response).ok()) {
      entry->delivery->EndWith((response.*row_->result)());
    } else {
      entry->delivery->Done(absl::InternalError("the reply of another node is not one of this method"));
    }
  }
  // Returns whether the item is to be routed again. Any executor may call it.
  bool Missed(Entry* entry, const absl::Status& status) {
    if (!entry->routing.Misses(status)) return false;
    OnExecutor([this, entry] {
      entry->routing.Missed(entry->delivery->shard());
      entry->routing.CountAgain();
      waiting_ = true;
      OneBack(entry);
    });
    return true;
  }
  // A routed item is back. Once all are, those that wait are routed, in their order.
  void OneBack(Entry* entry) {
    entry->routed = false;
    --routed_;
    if (entry->routing.spreads()) {
      const auto way = ways_.find(entry->delivery->shard());
      if (--way->second.items == 0) ways_.erase(way);
    }
    if (!waiting_ || routed_ > 0) return;
    Routing::Soon(endpoint_, [this] {
      waiting_ = false;
      // While one is routed, others may be written and leave entries_.
      std::vector<Entry*> waiting;
      for (const auto& waits : entries_) {
        if (waits->admitted && !waits->done) waiting.push_back(waits.get());
      }
      for (Entry* const waits : waiting) {
        if (waiting_) break;
        Route(waits);
      }
    });
  }

  void OnOutcome(Entry* entry) {
    entry->done = true;
    if (entry->routed) OneBack(entry);
    Go();
  }

  // Ends the streams to other nodes, and returns whether they have ended.
  bool PeersClosed() {
    bool closed = true;
    for (const auto& [peer, items] : peers_) {
      if (!items->open()) continue;
      closed = false;
      if (broken_) {
        items->Cancel();
      } else {
        items->Close();
      }
    }
    return closed;
  }

  void PopFront() {
    entries_bytes_ -= entries_.front()->bytes;
    lease_.CountReply(entries_bytes_);
    entries_.pop_front();
  }

  void OnWritten(bool ok) {
    EndSending();
    Used();
    broken_ = broken_ || !ok;
    ended_ = ended_ || !ok;
    PopFront();
    Go();
  }

  void Drain() override { End(CallGate::Draining()); }
  void EndDenied(const absl::Status& why) override { End(why); }
  void EndIdle() override {
    // A stream that waits for its objects or its client is not idle.
    if (entries_.empty()) End(IdleTooLong());
  }
  void End(const absl::Status& outcome) {
    if (ended_) return;
    ended_ = true;
    outcome_ = outcome;
    Go();
  }

  const Method* const row_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_;
  Operation read_;
  Operation write_;
  std::deque<std::unique_ptr<Entry>> entries_;  // items that are read and not answered
  size_t entries_bytes_ = 0;                    // the bytes of entries_ in the lease
  absl::Time deadline_;                         // the deadline of the call and of each item
  absl::Status outcome_;
  std::map<std::shared_ptr<Peer>, std::unique_ptr<ItemStream>> peers_;
  absl::flat_hash_map<storage::ShardId, Way> ways_;  // of the routed items, in a cluster
  int routed_ = 0;                                   // items that are on their way or with their objects
  bool waiting_ = false;                             // items wait until routed_ is 0
  bool ended_ = false;                               // nothing more is read
  bool broken_ = false;                              // the client is gone
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_STREAM_CALL_H_
