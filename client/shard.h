// The shard that an object belongs to, by which the map of a cluster says which node has it
// (proto/holdfast/v1/placement_service.proto).

#ifndef HOLDFAST_CLIENT_SHARD_H_
#define HOLDFAST_CLIENT_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"

namespace holdfast::client {

inline constexpr size_t kShardCount = 256;

// The namespace and the class are not empty.
uint32_t ShardOf(absl::string_view ns, absl::string_view object_class, absl::string_view name);

// The class of the objects that the methods of a stub are for; empty: they are for none.
template <typename Stub>
inline constexpr absl::string_view kClassOf = "";
template <>
inline constexpr absl::string_view kClassOf<v1::CounterService::Stub> = "Counter";
template <>
inline constexpr absl::string_view kClassOf<v1::RateLimiterService::Stub> = "RateLimiter";
template <>
inline constexpr absl::string_view kClassOf<v1::BatchProcessorService::Stub> = "BatchProcessor";
template <>
inline constexpr absl::string_view kClassOf<v1::UserCacheService::Stub> = "UserCache";
// Its requests may name another class.
template <>
inline constexpr absl::string_view kClassOf<v1::ObjectService::Stub> = "Object";

// Returns the shard of a request of a stub; nothing if the request is not for one object.
template <typename Stub, typename Request>
std::optional<uint32_t> ShardOfRequest(const Request& request) {
  if constexpr (!kClassOf<Stub>.empty() && requires { request.object().name(); }) {
    absl::string_view object_class = kClassOf<Stub>;
    if constexpr (requires { request.object().object_class(); }) {
      if (!request.object().object_class().empty()) object_class = request.object().object_class();
    }
    const absl::string_view ns = request.object().namespace_();
    return ShardOf(ns.empty() ? "default" : ns, object_class, request.object().name());
  }
  return std::nullopt;
}

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SHARD_H_
