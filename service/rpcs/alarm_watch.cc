#include "service/rpcs/alarm_watch.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/objects/plain_object.h"
#include "actors/wire/alarm_lease.h"
#include "actors/wire/wire_object.h"
#include "actors/wire/wire_time.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/forward_stream.h"
#include "service/call/reply_wire.h"
#include "service/call/request_object.h"
#include "service/call/routing.h"
#include "service/call/small_request.h"
#include "service/call/watch_call.h"

namespace holdfast::service {
namespace {

using actors::AlarmWatchers;

constexpr int kOutstandingDefault = 16;
constexpr int kOutstandingMax = 1000;
// The most memory of a delivery: the names of its object and its token.
constexpr size_t kDeliveryBytes = 1024;
// The time between two looks for nodes that are not watched.
constexpr absl::Duration kLookEvery = absl::Seconds(1);

absl::StatusOr<AlarmWatchers::Filter> FilterOf(const v1::WatchAlarmsRequest& request) {
  if (absl::Status status = CheckNamespace(request.namespace_(), "namespace"); !status.ok()) return status;
  if (request.name_prefix().size() > kNameBytesMax) {
    return actors::InvalidField("name_prefix",
                                absl::StrCat("has ", request.name_prefix().size(), " bytes; at most ", kNameBytesMax));
  }
  if (request.max_outstanding() < 0 || request.max_outstanding() > kOutstandingMax) {
    return actors::InvalidField("max_outstanding",
                                absl::StrCat("must be 1 to ", kOutstandingMax, ", or 0 for ", kOutstandingDefault));
  }
  const absl::StatusOr<int64_t> lease_us = actors::LeaseOf(request);
  if (!lease_us.ok()) return lease_us.status();
  AlarmWatchers::Filter filter;
  filter.ns = std::string(NamespaceOrDefault(request.namespace_()));
  filter.name_prefix = request.name_prefix();
  filter.outstanding_max = request.max_outstanding() == 0 ? kOutstandingDefault : request.max_outstanding();
  filter.lease = absl::Microseconds(*lease_us);
  return filter;
}

v1::WatchAlarmsResponse ReplyOf(const AlarmWatchers::Delivery& delivery) {
  v1::WatchAlarmsResponse response;
  actors::SetObject(delivery.object, response.mutable_object());
  response.set_delivery_token(delivery.token);
  actors::SetTimestamp(delivery.scheduled_time_us, response.mutable_scheduled_time());
  response.set_retry_count(delivery.retry_count);
  actors::SetTimestamp(delivery.lease_expire_time_us, response.mutable_lease_expire_time());
  return response;
}

// The watch of a client.
//
// In a cluster the node that the client is connected to watches all others on his behalf: it opens a watch to each, and
// to those that join, and opens one again that has ended, each within kLookEvery. The deliveries that may be
// outstanding are shared out among the nodes; each has one at least. Of each other node one delivery at most waits here
// for the client, and its flow control holds back the rest.
//
// The headers of a call are sent when the watch on this node has begun.
class AlarmWatchCall final : public WatchCall {
 public:
  AlarmWatchCall(const RawMethod* method, Endpoint* endpoint)
      : WatchCall(method, endpoint), routing_(endpoint, &lease_), peers_open_(this, &AlarmWatchCall::OnPeersClosed) {}

 private:
  // A watch on another node. It is in peers_ until it has ended.
  class PeerWatch final : private ForwardStream::Owner {
   public:
    PeerWatch(AlarmWatchCall* call, std::shared_ptr<Peer> peer, const grpc::ByteBuffer& request)
        : call_(call),
          node_(peer->node()),
          stream_(ForwardStream::Open(call->context_, std::move(peer), call->method_->name(), call->endpoint_->executor,
                                      this)) {
      stream_->Write(request);
      stream_->Close();
      stream_->Read();
    }
    void Cancel() { stream_->Cancel(); }
    // Takes the delivery that has come, if there is one.
    bool Take(grpc::ByteBuffer* reply) {
      if (!delivery_) return false;
      *reply = *delivery_;
      delivery_.reset();
      if (stream_ != nullptr) stream_->Read();
      return true;
    }
    bool has_delivery() const { return delivery_.has_value(); }

   private:
    void OnMessage(grpc::ByteBuffer* message) override {
      delivery_ = *message;
      call_->Go();
    }
    void OnEnded(const absl::Status&) override { call_->PeerEnded(node_); }

    AlarmWatchCall* const call_;
    const std::string node_;
    ForwardStream* const stream_;
    std::optional<grpc::ByteBuffer> delivery_;
  };

  void PostNext() override { PostAlarmWatch(method_, endpoint_); }

  absl::Status Begin() override {
    v1::WatchAlarmsRequest request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return status;
    auto filter = FilterOf(request);
    if (!filter.ok()) return filter.status();
    if (absl::Status status = AdmitTarget(Target::Namespace(filter->ns, &actors::PlainObject::Class())); !status.ok())
      return status;
    // The lease reserves memory beforehand for deliveries that wait for a client which does not read.
    absl::Status status = lease_.ReserveReply(static_cast<size_t>(filter->outstanding_max) * kDeliveryBytes);
    if (!status.ok()) return status;
    if (routing_.spreads()) {
      const int nodes = static_cast<int>(endpoint_->placement->Peers().size()) + 1;
      filter->outstanding_max = std::max(1, filter->outstanding_max / nodes);
      request.set_max_outstanding(filter->outstanding_max);
      peer_request_ = ToWire(request);
    }
    deliveries_max_ = static_cast<size_t>(filter->outstanding_max);
    auto watcher = endpoint_->watchers->Add(*std::move(filter), [this](const AlarmWatchers::Delivery& delivery) {
      endpoint_->executor->Post([this, delivery] {
        Queue(delivery);
        Go();
      });
    });
    if (!watcher.ok()) return watcher.status();
    watcher_ = *watcher;
    SendHeaders();
    if (routing_.spreads()) {
      peers_open_.Begin();
      LookForPeers();
    }
    return absl::OkStatus();
  }

  // Opens a watch on each node that has none, now and again.
  void LookForPeers() {
    for (std::shared_ptr<Peer>& peer : endpoint_->placement->Peers()) {
      std::unique_ptr<PeerWatch>& watch = peers_[peer->node()];
      if (watch == nullptr) watch = std::make_unique<PeerWatch>(this, std::move(peer), peer_request_);
    }
    look_ = endpoint_->executor->After(kLookEvery, [this] { LookForPeers(); });
  }
  void PeerEnded(const std::string& node) {
    // A delivery that waits here goes with the watch: its lease ends, and it comes again.
    peers_.erase(peers_.find(node));
    if (ended() && peers_.empty()) peers_open_.OnEvent(true);
  }
  void OnPeersClosed(bool) {}

  void OnEnd() override {
    if (watcher_) endpoint_->watchers->Remove(*watcher_);
    if (!peers_open_.pending()) return;
    endpoint_->executor->Cancel(*look_);
    for (const auto& [node, watch] : peers_) watch->Cancel();
    // The call may be deleted by this.
    if (peers_.empty()) endpoint_->executor->Post([this] { peers_open_.OnEvent(true); });
  }
  // The deletion comes after everything that the watch has posted.
  void Delete() override {
    endpoint_->executor->Post([this] { delete this; });
  }

  // Queues a delivery. If the client reads slowly, queued deliveries may have ended meanwhile (the lease expired, the
  // object was deleted), and others have taken their places. With more than deliveries_max_ some must have ended: the
  // oldest leaves the queue, and is returned to its object if it has not ended.
  void Queue(const AlarmWatchers::Delivery& delivery) {
    deliveries_.push_back(delivery);
    if (deliveries_.size() > deliveries_max_) Return();
  }
  // Returns the oldest queued delivery to its object.
  void Return() {
    endpoint_->watchers->Undelivered(deliveries_.front());
    deliveries_.pop_front();
  }
  void DropReplies() override {
    while (!deliveries_.empty()) Return();
  }
  bool TakeReply(grpc::ByteBuffer* reply) override {
    // This node and the others take turns.
    others_first_ = !others_first_;
    return others_first_ ? TakeFromPeer(reply) || TakeOwn(reply) : TakeOwn(reply) || TakeFromPeer(reply);
  }
  bool TakeOwn(grpc::ByteBuffer* reply) {
    if (deliveries_.empty()) return false;
    *reply = ToWire(ReplyOf(deliveries_.front()));
    deliveries_.pop_front();
    return true;
  }
  // The node after the one that was served last comes first.
  bool TakeFromPeer(grpc::ByteBuffer* reply) {
    for (const bool behind : {true, false}) {
      for (const auto& [node, watch] : peers_) {
        if ((node > served_) != behind || !watch->Take(reply)) continue;
        served_ = node;
        return true;
      }
    }
    return false;
  }

  bool HasReply() const override {
    return !deliveries_.empty() ||
           std::any_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer.second->has_delivery(); });
  }

  std::optional<AlarmWatchers::WatcherId> watcher_;
  std::deque<AlarmWatchers::Delivery> deliveries_;
  size_t deliveries_max_ = 0;  // as many as may be outstanding
  // --- In a cluster.
  Routing routing_;
  grpc::ByteBuffer peer_request_;
  std::map<std::string, std::unique_ptr<PeerWatch>> peers_;  // by the name of the node
  Operation peers_open_;  // in progress until the watch and those in peers_ have ended
  std::optional<actors::Executor::TimerId> look_;
  std::string served_;  // the node whose delivery was taken last
  bool others_first_ = false;
};

}  // namespace

void PostAlarmWatch(const RawMethod* method, Endpoint* endpoint) { new AlarmWatchCall(method, endpoint); }

}  // namespace holdfast::service
