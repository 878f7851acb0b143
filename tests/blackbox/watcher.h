// A client that watches alarms, with a stream and a thread of its own.

#ifndef HOLDFAST_TESTS_BLACKBOX_WATCHER_H_
#define HOLDFAST_TESTS_BLACKBOX_WATCHER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {

class Watcher {
 public:
  using Delivery = v1::WatchAlarmsResponse;

  Watcher(const std::shared_ptr<grpc::Channel>& channel, const v1::WatchAlarmsRequest& request) : stub_(channel) {
    thread_ = std::thread([this, request] {
      const auto reader = stub_.WatchAlarms(&context_, request);
      reader->WaitForInitialMetadata();
      {
        std::lock_guard lock(mutex_);
        begun_ = true;
        changed_.notify_all();
      }
      Delivery delivery;
      while (reader->Read(&delivery)) {
        std::lock_guard lock(mutex_);
        deliveries_.push_back(delivery);
        changed_.notify_all();
      }
      const grpc::Status status = reader->Finish();
      std::lock_guard lock(mutex_);
      status_ = status;
      changed_.notify_all();
    });
  }
  ~Watcher() {
    Cancel();
    thread_.join();
  }

  // Waits until the server knows this watcher, or has refused it.
  void AwaitBegin() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kSoon), [this] { return begun_; });
  }
  // Returns the next delivery. If none comes soon, fails the test and returns an empty one.
  Delivery Next() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kSoon), [this] { return !deliveries_.empty() || status_; });
    if (deliveries_.empty()) {
      ADD_FAILURE() << "no delivery; " << (status_ ? status_->error_message() : "the stream is open");
      return {};
    }
    Delivery next = std::move(deliveries_.front());
    deliveries_.pop_front();
    return next;
  }
  // The number of deliveries that have come and were not taken.
  size_t size() {
    std::lock_guard lock(mutex_);
    return deliveries_.size();
  }
  bool empty() { return size() == 0; }
  bool ended() {
    std::lock_guard lock(mutex_);
    return status_.has_value();
  }
  void Cancel() { context_.TryCancel(); }
  // Waits for the end of the stream, and returns its status.
  grpc::Status End() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kSoon), [this] { return status_.has_value(); });
    return status_.value_or(grpc::Status(grpc::StatusCode::UNKNOWN, "the stream has not ended"));
  }

 private:
  v1::ObjectService::Stub stub_;
  grpc::ClientContext context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false;                  // guarded by mutex_
  std::deque<Delivery> deliveries_;     // guarded by mutex_
  std::optional<grpc::Status> status_;  // guarded by mutex_
  std::thread thread_;
};

// These functions make requests on a delivery.
template <typename Request>
Request OfDelivery(const Watcher::Delivery& delivery) {
  Request request;
  *request.mutable_object() = delivery.object();
  request.set_delivery_token(delivery.delivery_token());
  return request;
}
inline v1::AcknowledgeAlarmRequest Acknowledgement(const Watcher::Delivery& delivery) {
  return OfDelivery<v1::AcknowledgeAlarmRequest>(delivery);
}
inline v1::AcknowledgeAlarmRequest Refusal(const Watcher::Delivery& delivery) {
  auto request = Acknowledgement(delivery);
  request.mutable_error()->set_code(grpc::StatusCode::INTERNAL);
  request.mutable_error()->set_message("on purpose");
  return request;
}

}  // namespace holdfast::blackbox

#endif  // HOLDFAST_TESTS_BLACKBOX_WATCHER_H_
