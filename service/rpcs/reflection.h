// grpc.reflection, in both of its versions, on the executors' own completion queues. Tools like grpcurl learn from it
// which services there are. gRPC's own implementation is a synchronous service, which takes a thread for each open
// stream.
//
// A stream answers one request after the other. It passes the call gate, and ends when it is idle for too long.

#ifndef HOLDFAST_SERVICE_RPCS_REFLECTION_H_
#define HOLDFAST_SERVICE_RPCS_REFLECTION_H_

#include <string>
#include <vector>

#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

struct ReflectionService {
  grpc::reflection::v1::ServerReflection::AsyncService v1;
  grpc::reflection::v1alpha::ServerReflection::AsyncService v1alpha;
  RawMethod v1_method{&v1, "grpc.reflection.v1.ServerReflection.ServerReflectionInfo"};
  RawMethod v1alpha_method{&v1alpha, "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo"};
  // The names of the services that list_services returns.
  std::vector<std::string> names = {};
};

// Each function waits for calls of its version; `reflection` outlives them.
void PostReflectionV1(ReflectionService* reflection, Endpoint* endpoint);
void PostReflectionV1Alpha(ReflectionService* reflection, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_REFLECTION_H_
