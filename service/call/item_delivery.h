// The delivery of one item of a batch or a stream to its object.

#ifndef HOLDFAST_SERVICE_CALL_ITEM_DELIVERY_H_
#define HOLDFAST_SERVICE_CALL_ITEM_DELIVERY_H_

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "service/call/endpoint.h"
#include "service/call/message_record.h"
#include "service/call/request_object.h"
#include "service/call/status.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

template <typename Request, typename Response>
using ItemHandler = actors::Task<absl::Status> (*)(actors::Object& object, const Request& request, Response* response);

template <typename Request, typename Response>
class ItemDelivery final : public actors::Delivery {
 public:
  // `done` is called once, on the object's executor or within Begin; `request` and `response` must live until then.
  // `missed` is asked first where the item ends with an error; if it returns true, the item has not ended, and is to be
  // delivered again. `method` is the name of the method for a single item, and must outlive this.
  ItemDelivery(ItemHandler<Request, Response> handle, const std::string* method, const Request* request,
               Response* response, absl::AnyInvocable<void(const absl::Status&)> done,
               absl::AnyInvocable<bool(const absl::Status&)> missed)
      : handle_(handle),
        request_(request),
        response_(response),
        record_(method, request, response),
        done_(std::move(done)),
        missed_(std::move(missed)) {}

  // Begins the item: returns whether it is to be delivered. If not, it has ended. `trace` is that of the call, and may
  // be null.
  bool Begin(Endpoint* endpoint, Admission admit, const actors::ObjectClass* implied, absl::Time until,
             CallTrace* trace) {
    log_ = endpoint->log;
    began_ = log_->Begin();
    trace_ = trace;
    if (trace != nullptr) traced_ = trace->AddDelivery(/*item=*/true);
    const absl::Status status = AdmitObject(*request_, implied, *endpoint->classes, admit, &object_);
    if (!status.ok()) {
      Done(status);
      return false;
    }
    if (traced_ != nullptr) times = traced_->Queued(object_.key, object_.object_class);
    deadline = until;
    bytes = request_->ByteSizeLong();
    return true;
  }
  // Returns the item with its object. Call it after Begin().
  actors::Addressed addressed() { return {&object_.key, object_.object_class, this}; }
  storage::ShardId shard() const { return object_.key.shard(); }

  // Ends the item with its result from another node, which is emptied.
  template <typename Result>
  void EndWith(Result* result) {
    if (result->has_error()) return Done(FromItemError(result->error()));
    response_->Swap(result->mutable_response());
    Done(absl::OkStatus());
  }

  actors::Task<absl::Status> Run(actors::Object& object) override { return handle_(object, *request_, response_); }
  actors::RecordedRequest* recorded() override { return record_.IfAny(); }
  void Done(const absl::Status& status) override {
    if (!status.ok() && missed_(status)) return;
    const auto object = [this] {
      return object_.object_class == nullptr ? ObjectNameOf(*request_, "") : object_.key.DebugString();
    };
    log_->Ended(began_, record_.method(), status, object, trace_);
    if (traced_ != nullptr) traced_->End(status);
    done_(status);
  }

 private:
  const ItemHandler<Request, Response> handle_;
  const Request* const request_;
  Response* const response_;
  MessageRecord<Request, Response> record_;
  RequestObject object_;
  CallLog* log_ = nullptr;
  absl::Time began_;
  const CallTrace* trace_ = nullptr;
  TracedDelivery* traced_ = nullptr;  // the item in the trace
  absl::AnyInvocable<void(const absl::Status&)> done_;
  absl::AnyInvocable<bool(const absl::Status&)> missed_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ITEM_DELIVERY_H_
