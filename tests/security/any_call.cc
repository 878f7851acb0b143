#include "tests/security/any_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/types.pb.h"
#include "tests/security/secure_server.h"

namespace holdfast::testing {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using google::protobuf::Reflection;

constexpr int kDepthMax = 2;

void Set(Message* message, const char* name, const std::string& text) {
  const FieldDescriptor* const field = message->GetDescriptor()->FindFieldByName(name);
  if (field != nullptr) message->GetReflection()->SetString(message, field, text);
}

// Fills the field `object` of the message, or of a message in it. Returns how deep it is; none if there is none.
std::optional<int> FillObject(Message* message, const std::string& ns, const std::string& object_class, bool* named,
                              int depth) {
  const Descriptor& type = *message->GetDescriptor();
  const Reflection& reflection = *message->GetReflection();
  const FieldDescriptor* const object = type.FindFieldByName("object");
  if (object != nullptr && object->message_type() != nullptr) {
    Message* const id = reflection.MutableMessage(message, object);
    Set(id, "namespace", ns);
    Set(id, "name", "matrix");
    Set(id, "object_class", object_class);
    *named = id->GetDescriptor()->FindFieldByName("object_class") != nullptr;
    return depth;
  }
  if (depth == kDepthMax) return std::nullopt;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.message_type() == nullptr || field.is_map()) continue;
    Message* const inner =
        field.is_repeated() ? reflection.AddMessage(message, &field) : reflection.MutableMessage(message, &field);
    const auto found = FillObject(inner, ns, object_class, named, depth + 1);
    if (found) return found;
    reflection.ClearField(message, &field);
  }
  return std::nullopt;
}

// Returns the code of the first ItemError in the message; 0 if there is none.
int ItemCodeOf(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  if (message.GetDescriptor() == v1::ItemError::descriptor()) {
    return reflection.GetInt32(message, message.GetDescriptor()->FindFieldByName("code"));
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const int code = ItemCodeOf(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                       : reflection.GetMessage(message, field));
      if (code != 0) return code;
    }
  }
  return 0;
}

grpc::ByteBuffer ToBytes(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string FromBytes(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  (void)bytes.Dump(&slices);
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

}  // namespace

AnyRequest MakeRequest(const MethodDescriptor& method, const std::string& ns, const std::string& object_class) {
  AnyRequest request{
      std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(method.input_type())->New()),
      TargetKind::kServer};
  bool named = false;
  if (method.name() == "GetRights") {
    // Asks for a namespace, and is for none.
    Set(request.message.get(), "namespace", ns);
    Set(request.message.get(), "object_class", object_class);
  } else if (method.input_type()->FindFieldByName("namespace") != nullptr) {
    Set(request.message.get(), "namespace", ns);
    request.kind = TargetKind::kNamespace;
  } else if (const auto depth = FillObject(request.message.get(), ns, object_class, &named, 0)) {
    // The header of an import is the request, in parts.
    const bool header = method.input_type()->FindFieldByName("header") != nullptr;
    request.kind = *depth > 0 && !header ? TargetKind::kItem : named ? TargetKind::kClass : TargetKind::kObject;
  }
  return request;
}

bool AnyOutcome::denied() const {
  const auto is_denial = [](int code) {
    return code == grpc::StatusCode::PERMISSION_DENIED || code == grpc::StatusCode::UNAUTHENTICATED;
  };
  return is_denial(status.error_code()) || is_denial(item_code);
}

AnyOutcome CallAny(const std::shared_ptr<grpc::Channel>& channel, const MethodDescriptor& method,
                   const Message& request, const std::string& token, std::chrono::milliseconds timeout) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  if (!token.empty()) SetToken(token, &context);
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call =
      stub.PrepareCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue);
  AnyOutcome outcome;
  call->StartCall(nullptr);
  if (next()) {
    call->WriteLast(ToBytes(request), grpc::WriteOptions(), nullptr);
    next();
  }
  grpc::ByteBuffer reply;
  call->Read(&reply, nullptr);
  if (next()) {
    outcome.replied = true;
    const std::unique_ptr<Message> message(
        MessageFactory::generated_factory()->GetPrototype(method.output_type())->New());
    if (message->ParseFromString(FromBytes(reply))) outcome.item_code = ItemCodeOf(*message);
    if (method.server_streaming()) context.TryCancel();
  }
  call->Finish(&outcome.status, nullptr);
  next();
  queue.Shutdown();
  void* tag;
  bool ok;
  while (queue.Next(&tag, &ok)) {
  }
  return outcome;
}

}  // namespace holdfast::testing
