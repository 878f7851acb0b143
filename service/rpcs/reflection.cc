// grpc.reflection, in both of its versions, on the executors' own completion queues. Tools such as grpcurl list the
// services with it. gRPC's own implementation is a synchronous service, which takes a thread for each open stream.
//
// A stream answers one request after the other. It passes the call gate, and ends when it is idle for too long.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/support/async_stream.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "service/call/call.h"
#include "service/call/endpoint.h"
#include "service/call/raw_method.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/rpc_rows.h"

namespace holdfast::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

struct V1 {
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
  using Service = grpc::reflection::v1::ServerReflection;
};

struct V1Alpha {
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
  using Service = grpc::reflection::v1alpha::ServerReflection;
};

template <typename Response>
void NotFound(const std::string& what, Response* response) {
  response->mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response->mutable_error_response()->set_error_message(absl::StrCat("not found: ", what));
}

// Adds the file and those that it imports, each once.
template <typename Response>
void AddFile(const FileDescriptor* file, std::set<const FileDescriptor*>* seen, Response* response) {
  if (!seen->insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  response->mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) AddFile(file->dependency(i), seen, response);
}

template <typename Response>
void AddFile(const FileDescriptor* file, const std::string& what, Response* response) {
  std::set<const FileDescriptor*> seen;
  if (file == nullptr) return NotFound(what, response);
  AddFile(file, &seen, response);
}

template <typename Request, typename Response>
void Answer(const Request& request, const std::vector<std::string>& services, Response* response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  response->set_valid_host(request.host());
  *response->mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& name : services)
        response->mutable_list_services_response()->add_service()->set_name(name);
      return;
    case Request::kFileByFilename:
      return AddFile(pool.FindFileByName(request.file_by_filename()), request.file_by_filename(), response);
    case Request::kFileContainingSymbol:
      return AddFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), request.file_containing_symbol(),
                     response);
    case Request::kFileContainingExtension: {
      const auto& wanted = request.file_containing_extension();
      const Descriptor* const type = pool.FindMessageTypeByName(wanted.containing_type());
      const FieldDescriptor* const field =
          type == nullptr ? nullptr : pool.FindExtensionByNumber(type, wanted.extension_number());
      return AddFile(field == nullptr ? nullptr : field->file(), wanted.containing_type(), response);
    }
    case Request::kAllExtensionNumbersOfType: {
      const std::string& name = request.all_extension_numbers_of_type();
      const Descriptor* const type = pool.FindMessageTypeByName(name);
      if (type == nullptr) return NotFound(name, response);
      std::vector<const FieldDescriptor*> fields;
      pool.FindAllExtensions(type, &fields);
      auto* const numbers = response->mutable_all_extension_numbers_response();
      numbers->set_base_type_name(name);
      for (const FieldDescriptor* field : fields) numbers->add_extension_number(field->number());
      return;
    }
    case Request::MESSAGE_REQUEST_NOT_SET:
      response->mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response->mutable_error_response()->set_error_message("message_request: is missing");
      return;
  }
}

template <typename Version>
class ReflectionCall final : public Call {
 public:
  ReflectionCall(const RawMethod* method, Endpoint* endpoint)
      : Call(method, CallGate::Shape::kStream, endpoint),
        stream_(&context_),
        read_(this, &ReflectionCall::OnRead),
        write_(this, &ReflectionCall::OnWritten) {
    method->ReceiveStream(&context_, &stream_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { new ReflectionCall(method_, endpoint_); }
  void Arrived(const absl::Status& admitted) override {
    absl::Status status = admitted;
    if (status.ok()) status = AdmitTarget(Target::Server());
    if (!status.ok()) return End(status);
    stream_.Read(&bytes_, read_.Begin());
  }
  void Send(const absl::Status& outcome, void* tag) override { stream_.Finish(ToGrpc(outcome), tag); }

  // Ends the call. No write may be in progress; a read may be, and ends with the call.
  void End(const absl::Status& outcome) {
    if (!finishing()) Finish(outcome);
  }

  void OnRead(bool ok) {
    if (finishing()) return;
    if (!ok) return End(absl::OkStatus());
    Used();
    CountReceived(bytes_.Length());
    typename Version::Request request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return End(status);
    response_.Clear();
    Answer(request, *endpoint_->service_names, &response_);
    if (absl::Status status = lease_.ReserveReply(request.ByteSizeLong() + response_.ByteSizeLong()); !status.ok()) {
      return End(status);
    }
    BeginSending();
    CountSent(response_.ByteSizeLong());
    stream_.Write(response_, write_.Begin());
  }

  void OnWritten(bool ok) {
    EndSending();
    if (ending_ || !ok) return End(outcome_);
    stream_.Read(&bytes_, read_.Begin());
  }

  void Drain() override { EndSoon(CallGate::Draining()); }
  void EndIdle() override {
    if (!write_.pending()) EndSoon(IdleTooLong());
  }
  void EndDenied(const absl::Status& why) override { EndSoon(why); }
  void EndSoon(const absl::Status& outcome) {
    if (ending_) return;
    ending_ = true;
    outcome_ = outcome;
    if (!write_.pending()) End(outcome);
  }

  grpc::ServerAsyncReaderWriter<typename Version::Response, grpc::ByteBuffer> stream_;
  Operation read_;
  Operation write_;
  typename Version::Response response_;
  absl::Status outcome_;  // the outcome when the call was asked to end
  bool ending_ = false;
};

template <typename Version>
void AddVersion(Extension* extension) {
  RpcRows<typename Version::Service> rows;
  rows.Custom("ServerReflectionInfo", Verb::kRead,
              [](const RawMethod* method, Endpoint* endpoint) { new ReflectionCall<Version>(method, endpoint); });
  extension->services.push_back(rows.Take());
}

}  // namespace

void AddReflectionRpcs(Extension* extension) {
  AddVersion<V1>(extension);
  AddVersion<V1Alpha>(extension);
}

}  // namespace holdfast::service
