// A method of a generated service that receives its requests as bytes, so that the server decides whether and on which
// thread they are parsed. gRPC would parse each on the executor, and a message of 4 MiB can be made to take a tenth of
// a second.

#ifndef HOLDFAST_SERVICE_CALL_RAW_METHOD_H_
#define HOLDFAST_SERVICE_CALL_RAW_METHOD_H_

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <string>

#include "service/call/method.h"

namespace holdfast::service {

class RawMethod {
 public:
  // `method` is one of `service`, which outlives this.
  RawMethod(grpc::Service* service, Method method);

  const Method& method() const { return method_; }
  const std::string& name() const { return method_.name; }
  // Called once, before there are calls.
  void set_number(size_t number) { method_.number = number; }

  // Waits for a call with one request, as the generated service's function for the method does (for the method
  // Increment it is RequestIncrement).
  void ReceiveUnary(grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::internal::ServerAsyncStreamingInterface* writer, grpc::ServerCompletionQueue* queue,
                    void* tag) const;
  // Waits for a call with one request and a stream of replies.
  void ReceiveReplyStream(grpc::ServerContext* context, grpc::ByteBuffer* request,
                          grpc::internal::ServerAsyncStreamingInterface* writer, grpc::ServerCompletionQueue* queue,
                          void* tag) const;
  // Waits for a call with a stream of requests and one reply.
  void ReceiveRequestStream(grpc::ServerContext* context, grpc::internal::ServerAsyncStreamingInterface* reader,
                            grpc::ServerCompletionQueue* queue, void* tag) const;
  // Waits for a call with a stream of requests and a stream of replies.
  void ReceiveStream(grpc::ServerContext* context, grpc::internal::ServerAsyncStreamingInterface* stream,
                     grpc::ServerCompletionQueue* queue, void* tag) const;

 private:
  grpc::Service* const service_;
  Method method_;
  const int index_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_RAW_METHOD_H_
