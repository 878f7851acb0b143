#include "service/rpcs/alarm_watch.h"

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/objects/plain_object.h"
#include "actors/wire/alarm_lease.h"
#include "actors/wire/wire_time.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/reply_wire.h"
#include "service/call/request_object.h"
#include "service/call/small_request.h"
#include "service/call/watch_call.h"

namespace holdfast::service {
namespace {

using actors::AlarmWatchers;

constexpr int kOutstandingDefault = 16;
constexpr int kOutstandingMax = 1000;
// The most memory of a delivery: the names of its object and its token.
constexpr size_t kDeliveryBytes = 1024;

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
  response.mutable_object()->set_namespace_(delivery.object.ns);
  response.mutable_object()->set_object_class(delivery.object.object_class);
  response.mutable_object()->set_name(delivery.object.name);
  response.set_delivery_token(delivery.token);
  actors::SetTimestamp(delivery.scheduled_time_us, response.mutable_scheduled_time());
  response.set_retry_count(delivery.retry_count);
  actors::SetTimestamp(delivery.lease_expire_time_us, response.mutable_lease_expire_time());
  return response;
}

// The headers of a call are sent when the watch has begun.
class AlarmWatchCall final : public WatchCall {
 public:
  AlarmWatchCall(const RawMethod* method, Endpoint* endpoint) : WatchCall(method, endpoint) {}

 private:
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
    return absl::OkStatus();
  }

  void OnEnd() override {
    if (watcher_) endpoint_->watchers->Remove(*watcher_);
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
    if (deliveries_.empty()) return false;
    *reply = ToWire(ReplyOf(deliveries_.front()));
    deliveries_.pop_front();
    return true;
  }

  bool HasReply() const override { return !deliveries_.empty(); }

  std::optional<AlarmWatchers::WatcherId> watcher_;
  std::deque<AlarmWatchers::Delivery> deliveries_;
  size_t deliveries_max_ = 0;  // as many as may be outstanding
};

}  // namespace

void PostAlarmWatch(const RawMethod* method, Endpoint* endpoint) { new AlarmWatchCall(method, endpoint); }

}  // namespace holdfast::service
