// An operation of a stream that may be in progress beside others: gRPC tells them apart by tag.

#ifndef HOLDFAST_SERVICE_CALL_STREAM_OPERATION_H_
#define HOLDFAST_SERVICE_CALL_STREAM_OPERATION_H_

#include "service/call/completion_queue_executor.h"

namespace holdfast::service {

template <typename Call>
class StreamOperation final : public Event {
 public:
  // `then` is called with gRPC's `ok` when the operation ends.
  StreamOperation(Call* call, void (Call::*then)(bool)) : call_(call), then_(then) {}
  // Returns the tag for an operation that begins.
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

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_STREAM_OPERATION_H_
