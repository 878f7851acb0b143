// The Connect protocol: what clients send in JSON, queries, headers and envelopes is taken or refused with words, and
// each message comes back the same from JSON.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/http/connect_codec.h"
#include "service/http/json_codec.h"
#include "service/rpcs/builtin.h"
#include "storage/base/check.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

namespace pb = google::protobuf;

constexpr size_t kBytesMax = 4096;
// JSON writes a byte of a message as up to 6, and names its fields.
constexpr size_t kJsonBytesMax = 1 << 20;
// Errors quote a part of what they are about.
constexpr size_t kErrorBytesMax = 1024;

// Returns the types of all requests and replies.
const std::vector<const pb::Descriptor*>& Types() {
  static const auto* const types = [] {
    auto* const all = new std::vector<const pb::Descriptor*>;
    for (const service::RpcTable::Service& each : service::BuiltIn().services) {
      for (const service::RpcTable::Row& row : each.rows) {
        const auto* const method = pb::DescriptorPool::generated_pool()->FindMethodByName(row.method);
        all->push_back(method->input_type());
        all->push_back(method->output_type());
      }
    }
    return all;
  }();
  return *types;
}

std::string Bytes(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::unique_ptr<pb::Message> New(const pb::Descriptor& type) {
  return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

// A message of ours is told in JSON, and read again from it.
void CheckRoundTrip(const pb::Message& message) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const auto text = service::ToJson(type, Bytes(message), kJsonBytesMax);
  HOLDFAST_CHECK(text.ok(), absl::StrCat(type.full_name(), ": ", text.status().ToString()));
  HOLDFAST_CHECK(nlohmann::json::accept(*text), *text);
  const auto again = service::FromJson(type, *text, kJsonBytesMax);
  HOLDFAST_CHECK(again.ok(), absl::StrCat(*text, ": ", again.status().ToString()));
  const auto read = New(type);
  HOLDFAST_CHECK(read->ParseFromString(*again), *text);
  HOLDFAST_CHECK(Bytes(*read) == Bytes(message), absl::StrCat(type.full_name(), " comes back another one: ", *text));
}

void CheckJson(Input input) {
  const pb::Descriptor& type = *Types()[input.Below(Types().size())];
  const auto bytes = service::FromJson(type, input.rest(), kBytesMax);
  if (!bytes.ok()) {
    HOLDFAST_CHECK(bytes.status().code() == absl::StatusCode::kInvalidArgument ||
                       bytes.status().code() == absl::StatusCode::kResourceExhausted,
                   bytes.status().ToString());
    HOLDFAST_CHECK(!bytes.status().message().empty() && bytes.status().message().size() <= kErrorBytesMax,
                   bytes.status().ToString());
    return;
  }
  HOLDFAST_CHECK(bytes->size() <= kBytesMax, absl::StrCat(bytes->size()));
  const auto message = New(type);
  // Texts that are no UTF-8 are refused here, by the parser of the call.
  if (message->ParseFromString(*bytes)) CheckRoundTrip(*message);
}

void CheckMessage(Input input) {
  const auto message = New(*Types()[input.Below(Types().size())]);
  if (!message->ParseFromString(std::string(input.rest()))) return;
  message->DiscardUnknownFields();
  CheckRoundTrip(*message);
}

void CheckRequest(Input input) {
  const std::string type = input.Text();
  if (const auto parsed = service::ParseContentType(type)) {
    HOLDFAST_CHECK(service::ParseContentType(service::ContentTypeName(*parsed)) == parsed, type);
  }
  const auto timeout = service::ParseTimeoutMs(input.Text());
  if (timeout.ok()) {
    HOLDFAST_CHECK(*timeout >= absl::ZeroDuration() && *timeout < absl::Milliseconds(10'000'000'000), "a timeout");
  } else {
    HOLDFAST_CHECK(timeout.status().code() == absl::StatusCode::kInvalidArgument, timeout.status().ToString());
  }
  const absl::string_view rest = input.rest();
  const auto only = service::OnlyMessage(rest);
  if (only.ok()) HOLDFAST_CHECK(service::Envelope(*only) == rest, "an envelope is another one");
  const std::string envelope = service::Envelope(rest);
  const auto unpacked = service::OnlyMessage(envelope);
  HOLDFAST_CHECK(unpacked.ok() && *unpacked == rest, unpacked.status().ToString());
  const auto query = service::ParseGetQuery(rest);
  if (query.ok()) {
    HOLDFAST_CHECK(query->message.size() <= rest.size(), "a message is longer than its query");
  } else {
    HOLDFAST_CHECK(!query.status().message().empty(), "an error without a message");
  }
}

// Each outcome of a call is JSON, whatever the bytes of its texts.
void CheckError(Input input) {
  absl::Status status(static_cast<absl::StatusCode>(input.Byte() % 18), input.Text());
  const std::string name = input.Text();
  const service::Metadata trailers = {{input.Text(), input.Text()}, {"x-bin", input.Text()}};
  if (!status.ok()) status.SetPayload(name, absl::Cord(input.rest()));
  HOLDFAST_CHECK(nlohmann::json::accept(service::ErrorJson(status)), service::ErrorJson(status));
  const std::string end = service::EndOfStream(status, trailers);
  HOLDFAST_CHECK(end.size() >= service::kEnvelopeBytes && end[0] == 2, end);
  HOLDFAST_CHECK(nlohmann::json::accept(end.substr(service::kEnvelopeBytes)), end);
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  google::protobuf::SetLogHandler(nullptr);  // which would print every text that is not UTF-8
  holdfast::fuzz::Input input(data, bytes);
  switch (input.Byte() % 4) {
    case 0:
      holdfast::fuzz::CheckJson(input);
      break;
    case 1:
      holdfast::fuzz::CheckMessage(input);
      break;
    case 2:
      holdfast::fuzz::CheckRequest(input);
      break;
    default:
      holdfast::fuzz::CheckError(input);
      break;
  }
  return 0;
}
