// Makes the spans of a call's trace, in the form of OTLP.
//
//   holdfast.v1.CounterService/Increment      from the arrival of the call to its outcome
//     queue                                   until the turn begins; until the outcome, if there is no turn
//     turn                                    the handler
//     commit                                  from the end of the turn until all that it read and wrote is durable
//
//   holdfast.v1.CounterService/BatchIncrement
//     item                                    one for each item, up to CallTrace::kDeliveriesMax
//       queue, turn, commit
//
// The attributes say the method, the code, the reason of an error, and the namespace and the class of the object. Names
// of objects, request ids and values are in no span.
//
// Threading: none of its own.

#ifndef HOLDFAST_SERVICE_TRACES_OTLP_SPANS_H_
#define HOLDFAST_SERVICE_TRACES_OTLP_SPANS_H_

#include <cstdint>
#include <functional>

#include "opentelemetry/proto/trace/v1/trace.pb.h"
#include "service/traces/call_trace.h"

namespace holdfast::service {

// Appends the spans of a trace that has ended. `bits` gives ids to the spans below that of the call.
void AddSpans(const CallTrace& trace, const std::function<uint64_t()>& bits,
              opentelemetry::proto::trace::v1::ScopeSpans* spans);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_TRACES_OTLP_SPANS_H_
