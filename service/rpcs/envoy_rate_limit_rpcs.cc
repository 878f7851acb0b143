// Envoy's RateLimitService: a call is for RateLimiters that the server's rules name.

#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"
#include "service/ratelimit/rate_limit_call.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {

void AddEnvoyRateLimitRpcs(Extension* extension) {
  RpcRows<envoy::service::ratelimit::v3::RateLimitService> rows;
  rows.Custom("ShouldRateLimit", Verb::kWrite, &RateLimitCall::Post);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
