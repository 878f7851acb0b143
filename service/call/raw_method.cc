#include "service/call/raw_method.h"

#include <google/protobuf/descriptor.h>

#include <utility>

namespace holdfast::service {
namespace {

// Gives access to protected members of grpc::Service, the base class of the generated services.
class Base : public grpc::Service {
 public:
  using grpc::Service::RequestAsyncBidiStreaming;
  using grpc::Service::RequestAsyncClientStreaming;
  using grpc::Service::RequestAsyncServerStreaming;
  using grpc::Service::RequestAsyncUnary;
};

// Returns the index of the method in its service, by which gRPC knows it; -1 if there is none, which ends the start
// (RpcTable::CheckComplete).
int IndexOf(const std::string& full_name) {
  const auto* const method = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(full_name);
  return method == nullptr ? -1 : method->index();
}

}  // namespace

RawMethod::RawMethod(grpc::Service* service, Method method)
    : service_(service), method_(std::move(method)), index_(IndexOf(method_.name)) {}

void RawMethod::ReceiveUnary(grpc::ServerContext* context, grpc::ByteBuffer* request,
                             grpc::internal::ServerAsyncStreamingInterface* writer, grpc::ServerCompletionQueue* queue,
                             void* tag) const {
  constexpr auto kReceive = &Base::RequestAsyncUnary<grpc::ByteBuffer>;
  (service_->*kReceive)(index_, context, request, writer, queue, queue, tag);
}

void RawMethod::ReceiveReplyStream(grpc::ServerContext* context, grpc::ByteBuffer* request,
                                   grpc::internal::ServerAsyncStreamingInterface* writer,
                                   grpc::ServerCompletionQueue* queue, void* tag) const {
  constexpr auto kReceive = &Base::RequestAsyncServerStreaming<grpc::ByteBuffer>;
  (service_->*kReceive)(index_, context, request, writer, queue, queue, tag);
}

void RawMethod::ReceiveRequestStream(grpc::ServerContext* context,
                                     grpc::internal::ServerAsyncStreamingInterface* reader,
                                     grpc::ServerCompletionQueue* queue, void* tag) const {
  constexpr auto kReceive = &Base::RequestAsyncClientStreaming;
  (service_->*kReceive)(index_, context, reader, queue, queue, tag);
}

void RawMethod::ReceiveStream(grpc::ServerContext* context, grpc::internal::ServerAsyncStreamingInterface* stream,
                              grpc::ServerCompletionQueue* queue, void* tag) const {
  constexpr auto kReceive = &Base::RequestAsyncBidiStreaming;
  (service_->*kReceive)(index_, context, stream, queue, queue, tag);
}

}  // namespace holdfast::service
