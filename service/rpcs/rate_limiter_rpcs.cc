// RateLimiterService: each call is for one RateLimiter.

#include "actors/objects/rate_limiter.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {

using actors::RateLimiter;

void AddRateLimiterRpcs(Extension* extension) {
  const actors::ObjectClass* const limiter = &RateLimiter::Class();
  extension->object_classes.push_back(limiter);

  RpcRows<v1::RateLimiterService> rows;
  // A check takes from the limit, unless it only peeks.
  rows.Unary<&RateLimiter::CheckLimit>("CheckLimit", Verb::kWrite, limiter);
  rows.Unary<&RateLimiter::CheckLimits>("CheckLimits", Verb::kWrite, limiter);
  rows.Unary<&RateLimiter::ResetLimit>("ResetLimit", Verb::kWrite, limiter);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
