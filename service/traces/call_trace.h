// The trace of one call: when it arrived and ended, and when its deliveries waited, ran and became durable.
//
// The executors only note times here. The spans are made of them later, on the thread of the exporter
// (otlp_spans.h). A trace that is not recorded has no spans: it gives the log the trace id of the caller.
//
// Ownership: the call owns it until its end, and then the exporter. Threading: the call's executor adds deliveries;
// each delivery is used on the executor of its object, and by the call before it is delivered.

#ifndef HOLDFAST_SERVICE_TRACES_CALL_TRACE_H_
#define HOLDFAST_SERVICE_TRACES_CALL_TRACE_H_

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "holdfast/v1/errors.pb.h"
#include "service/traces/trace_context.h"
#include "storage/store/object_id.h"

namespace holdfast::service {

// A delivery of a call that is traced. All times are of the steady clock; InfinitePast if their moment did not come.
class TracedDelivery {
 public:
  // `clock` outlives it. An item of a batch or a stream has a span of its own.
  TracedDelivery(bool item, const actors::Clock* clock) : item_(item), clock_(clock), began_(clock->Steady()) {}
  TracedDelivery(const TracedDelivery&) = delete;
  TracedDelivery& operator=(const TracedDelivery&) = delete;

  // The delivery is about to go to this object. Returns the value for Delivery::times.
  actors::TurnTimes* Queued(const storage::ObjectKey& key, const actors::ObjectClass* object_class);
  // The delivery has its outcome. The only delivery of a call ends with the call, without this.
  void End(const absl::Status& outcome);

  bool item() const { return item_; }
  absl::Time began() const { return began_; }
  absl::Time queued() const { return queued_; }
  absl::Time ended() const { return ended_; }
  const actors::TurnTimes& turn() const { return turn_; }
  const std::string& ns() const { return ns_; }
  absl::string_view object_class() const { return object_class_; }
  absl::StatusCode code() const { return code_; }
  v1::ErrorReason reason() const { return reason_; }

 private:
  const bool item_;
  const actors::Clock* const clock_;
  const absl::Time began_;
  absl::Time queued_ = absl::InfinitePast();
  absl::Time ended_ = absl::InfinitePast();
  actors::TurnTimes turn_;
  std::string ns_;
  absl::string_view object_class_;  // of the class, which lives as long as the server
  absl::StatusCode code_ = absl::StatusCode::kOk;
  v1::ErrorReason reason_ = v1::ERROR_REASON_UNSPECIFIED;
};

class CallTrace {
 public:
  // The most deliveries of a call that are traced; the others are counted.
  static constexpr size_t kDeliveriesMax = 16;

  // A trace that is recorded: `span_id` is that of the call's span. `method` is "holdfast.v1.CounterService.Increment"
  // and lives, as `clock` does, as long as the server.
  struct Span {
    TraceId trace_id;
    SpanId parent;  // the span of the caller, if it has one
    SpanId span_id;
    std::string tracestate;
  };
  CallTrace(Span span, absl::string_view method, const actors::Clock* clock)
      : span_(std::move(span)), method_(method), clock_(clock), wall_(clock->Wall()), began_(clock->Steady()) {}
  // A trace that is not recorded.
  explicit CallTrace(const TraceId& trace_id) : span_{.trace_id = trace_id} {}
  CallTrace(const CallTrace&) = delete;
  CallTrace& operator=(const CallTrace&) = delete;

  bool recorded() const { return clock_ != nullptr; }
  const TraceId& trace_id() const { return span_.trace_id; }

  // Returns the place for the times of a delivery, which lives as long as the trace; null if the trace is not recorded
  // or has kDeliveriesMax of them.
  TracedDelivery* AddDelivery(bool item);
  // The call has its outcome.
  void End(const absl::Status& outcome);

  const Span& span() const { return span_; }
  absl::string_view method() const { return method_; }
  absl::Time began() const { return began_; }
  absl::Time ended() const { return ended_; }
  absl::StatusCode code() const { return code_; }
  v1::ErrorReason reason() const { return reason_; }
  const std::list<TracedDelivery>& deliveries() const { return deliveries_; }
  size_t deliveries_left_out() const { return left_out_; }
  // Returns the wall time of a steady one, by the two clocks as they were when the call arrived: so the times of one
  // call go with each other, whatever becomes of the wall clock.
  absl::Time WallOf(absl::Time steady) const { return wall_ + (steady - began_); }
  // Returns the most spans that the trace has.
  size_t SpansMax() const;

 private:
  const Span span_;
  const absl::string_view method_;
  const actors::Clock* const clock_ = nullptr;
  const absl::Time wall_ = absl::InfinitePast();
  const absl::Time began_ = absl::InfinitePast();
  absl::Time ended_ = absl::InfinitePast();
  absl::StatusCode code_ = absl::StatusCode::kOk;
  v1::ErrorReason reason_ = v1::ERROR_REASON_UNSPECIFIED;
  std::list<TracedDelivery> deliveries_;
  size_t left_out_ = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_CALL_TRACE_H_
