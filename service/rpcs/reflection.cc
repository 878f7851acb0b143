#include "service/rpcs/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/support/async_stream.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/call/call.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "service/call/stream_operation.h"

namespace holdfast::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

struct V1 {
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
  static const RawMethod& In(const ReflectionService& reflection) { return reflection.v1_method; }
};

struct V1Alpha {
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
  static const RawMethod& In(const ReflectionService& reflection) { return reflection.v1alpha_method; }
};

template <typename Response>
void NotFound(const std::string& what, Response* response) {
  response->mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response->mutable_error_response()->set_error_message(absl::StrCat("not found: ", what));
}

// The file and those that it imports, each once.
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
  ReflectionCall(ReflectionService* reflection, Endpoint* endpoint)
      : Call(endpoint),
        reflection_(reflection),
        stream_(&context_),
        read_(this, &ReflectionCall::OnRead),
        write_(this, &ReflectionCall::OnWritten),
        finish_(this, &ReflectionCall::OnFinished) {
    Version::In(*reflection).ReceiveStream(&context_, &stream_, endpoint->executor->queue(), Tag());
  }

  void OnEvent(bool ok) override {
    if (!ok) {
      delete this;
      return;
    }
    new ReflectionCall(reflection_, endpoint_);
    if (absl::Status status = AdmitStream(Version::In(*reflection_).name()); status.ok()) {
      stream_.Read(&bytes_, read_.Begin());
    } else {
      End(status);
    }
  }

 private:
  using Operation = StreamOperation<ReflectionCall>;

  // Once nothing is written; a read may be waiting, and ends with the call.
  void End(const absl::Status& outcome) {
    if (finishing_) return;
    finishing_ = true;
    LogStreamEnd(Version::In(*reflection_).name(), outcome);
    BeginSending();
    stream_.Finish(ToGrpc(outcome), finish_.Begin());
  }

  void OnRead(bool ok) {
    if (finishing_) return MaybeDelete();
    if (!ok) return End(absl::OkStatus());
    Used();
    typename Version::Request request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return End(status);
    response_.Clear();
    Answer(request, reflection_->names, &response_);
    if (absl::Status status = lease_.ReserveReply(request.ByteSizeLong() + response_.ByteSizeLong()); !status.ok()) {
      return End(status);
    }
    BeginSending();
    stream_.Write(response_, write_.Begin());
  }

  void OnWritten(bool ok) {
    EndSending();
    if (ending_ || !ok) return End(outcome_);
    stream_.Read(&bytes_, read_.Begin());
  }

  void OnFinished(bool) {
    finished_ = true;
    MaybeDelete();
  }
  void MaybeDelete() {
    if (finished_ && !read_.pending()) delete this;
  }

  void Drain() override { EndSoon(CallGate::Draining()); }
  void EndIdle() override {
    if (!write_.pending()) EndSoon(IdleTooLong());
  }
  void EndSoon(const absl::Status& outcome) {
    if (ending_) return;
    ending_ = true;
    outcome_ = outcome;
    if (!write_.pending()) End(outcome);
  }

  ReflectionService* const reflection_;
  grpc::ServerAsyncReaderWriter<typename Version::Response, grpc::ByteBuffer> stream_;
  Operation read_;
  Operation write_;
  Operation finish_;
  grpc::ByteBuffer bytes_;  // of the request
  typename Version::Response response_;
  absl::Status outcome_;  // where it is asked to end
  bool ending_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

}  // namespace

void PostReflectionV1(ReflectionService* reflection, Endpoint* endpoint) {
  new ReflectionCall<V1>(reflection, endpoint);
}

void PostReflectionV1Alpha(ReflectionService* reflection, Endpoint* endpoint) {
  new ReflectionCall<V1Alpha>(reflection, endpoint);
}

}  // namespace holdfast::service
