// What every call of one executor's completion queue shares.

#ifndef HOLDFAST_SERVICE_ENDPOINT_H_
#define HOLDFAST_SERVICE_ENDPOINT_H_

#include <grpcpp/completion_queue.h>

#include <cstddef>
#include <set>

#include "actors/alarm_watchers.h"
#include "actors/object.h"
#include "actors/router.h"
#include "service/admission.h"
#include "service/completion_queue_executor.h"
#include "storage/background.h"
#include "storage/sql/database.h"
#include "storage/store.h"

namespace holdfast::service {

// A call without an end of its own: it is asked to end when the server drains.
class OpenStream {
 public:
  virtual void Drain() = 0;

 protected:
  ~OpenStream() = default;
};

// One operation of a stream that may be under way beside others: gRPC tells them apart by tag.
template <typename Call>
class StreamOperation final : public Event {
 public:
  // `then` is called with gRPC's `ok` when the operation ends.
  StreamOperation(Call* call, void (Call::*then)(bool)) : call_(call), then_(then) {}
  // The tag for an operation that begins.
  void* Begin() {
    pending_ = true;
    return Tag();
  }
  bool pending() const { return pending_; }
  void OnEvent(bool ok) override {
    pending_ = false;
    (call_->*then_)(ok);
  }

 private:
  Call* const call_;
  void (Call::*const then_)(bool);
  bool pending_ = false;
};

// All outlive the endpoint, and the endpoint its calls.
struct Endpoint {
  CompletionQueueExecutor* executor;
  const actors::Router* router;
  const actors::ClassRegistry* classes;
  storage::Store* store;
  storage::Background* reads;
  actors::AlarmWatchers* watchers;
  Admission* admission;
  size_t stream_outstanding_max;
  size_t reply_bytes_max;
  int64_t object_bytes_max;
  // Of one export or import.
  absl::Duration transfer_time_max;
  const storage::sql::Environment* sql;
  // On the executor's thread only.
  std::set<OpenStream*> streams = {};
};

// When a call's client stops waiting.
inline absl::Time DeadlineOf(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture() : absl::FromChrono(deadline);
}

// RESOURCE_EXHAUSTED if the reply is larger than clients take.
inline absl::Status CheckReplySize(size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max) return absl::OkStatus();
  return actors::Error(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_RESPONSE_TOO_LARGE,
                       absl::StrCat("the reply would have ", bytes, " bytes; at most ", bytes_max,
                                    ". Nothing was done; ask for less at once"));
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ENDPOINT_H_
