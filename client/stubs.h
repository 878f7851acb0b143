// A stub of each service, on one channel.

#ifndef HOLDFAST_CLIENT_STUBS_H_
#define HOLDFAST_CLIENT_STUBS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <tuple>

#include "grpc/health/v1/health.grpc.pb.h"
#include "holdfast/v1/admin_service.grpc.pb.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/placement_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"

namespace holdfast::client {

// Threading: any thread.
class Stubs {
 public:
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : stubs_(v1::CounterService::NewStub(channel), v1::RateLimiterService::NewStub(channel),
               v1::BatchProcessorService::NewStub(channel), v1::UserCacheService::NewStub(channel),
               v1::ObjectService::NewStub(channel), v1::AdminService::NewStub(channel),
               v1::PlacementService::NewStub(channel), grpc::health::v1::Health::NewStub(channel)) {}

  template <typename Stub>
  Stub& Get() const {
    return *std::get<std::unique_ptr<Stub>>(stubs_);
  }

 private:
  std::tuple<std::unique_ptr<v1::CounterService::Stub>, std::unique_ptr<v1::RateLimiterService::Stub>,
             std::unique_ptr<v1::BatchProcessorService::Stub>, std::unique_ptr<v1::UserCacheService::Stub>,
             std::unique_ptr<v1::ObjectService::Stub>, std::unique_ptr<v1::AdminService::Stub>,
             std::unique_ptr<v1::PlacementService::Stub>, std::unique_ptr<grpc::health::v1::Health::Stub>>
      stubs_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_STUBS_H_
