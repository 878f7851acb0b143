// CounterService: each call is for one Counter, except that BatchIncrement and StreamIncrement are Increment for many.

#include "actors/objects/counter.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "service/call/batch_call.h"
#include "service/call/stream_call.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

using actors::Counter;
using BatchIncrementCall = BatchCall<v1::BatchIncrementRequest, v1::BatchIncrementResponse, v1::IncrementRequest,
                                     v1::IncrementResponse, v1::IncrementResult>;
using StreamIncrementCall =
    StreamCall<v1::StreamIncrementRequest, v1::StreamIncrementResponse, v1::IncrementRequest, v1::IncrementResponse>;

constexpr int kIncrementsMax = 1000;
// The method that stands for each item of a batch or a stream.
constexpr char kIncrement[] = "holdfast.v1.CounterService.Increment";

}  // namespace

void AddCounterRpcs(Extension* extension) {
  const actors::ObjectClass* const counter = &Counter::Class();
  extension->object_classes.push_back(counter);

  RpcRows<v1::CounterService> rows;
  rows.Unary<&Counter::Increment>("Increment", Verb::kWrite, counter);
  rows.Unary<&Counter::GetValue>("GetValue", Verb::kRead, counter);
  rows.Unary<&Counter::GetUniqueNumber>("GetUniqueNumber", Verb::kWrite, counter);
  rows.Unary<&Counter::ResetCounter>("ResetCounter", Verb::kWrite, counter);
  rows.Add<BatchIncrementCall>(BatchIncrementCall::Method{.raw = rows.Raw("BatchIncrement", Verb::kWrite),
                                                          .items = &v1::BatchIncrementRequest::increments,
                                                          .items_field = "increments",
                                                          .items_max = kIncrementsMax,
                                                          .add_item = &v1::BatchIncrementRequest::add_increments,
                                                          .add_result = &v1::BatchIncrementResponse::add_results,
                                                          .results = &v1::BatchIncrementResponse::mutable_results,
                                                          .handle = HandlerTraits<&Counter::Increment>::Handle,
                                                          .item_method = kIncrement,
                                                          .object_class = counter});
  rows.Add<StreamIncrementCall>(StreamIncrementCall::Method{.raw = rows.Raw("StreamIncrement", Verb::kWrite),
                                                            .item = &v1::StreamIncrementRequest::increment,
                                                            .result = &v1::StreamIncrementResponse::mutable_result,
                                                            .handle = HandlerTraits<&Counter::Increment>::Handle,
                                                            .item_method = kIncrement,
                                                            .object_class = counter});
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
