// Runs the cases of conformance with the messages that are generated for C++; conformance.py says how.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "holdfast/v1/batch_processor_service.pb.h"
#include "holdfast/v1/counter_service.pb.h"
#include "holdfast/v1/object_service.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "holdfast/v1/user_cache_service.pb.h"

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;
using nlohmann::json;

constexpr std::chrono::milliseconds kTimeout = std::chrono::seconds(20);

[[noreturn]] void Fail(const std::string& why) {
  std::cerr << "conformance: " << why << "\n";
  std::exit(1);
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) Fail(absl::StrCat(name, " is not set"));
  return value;
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Makes sure that the linker keeps the descriptors of all services.
void KeepDescriptors() {
  holdfast::v1::IncrementRequest::descriptor();
  holdfast::v1::CheckLimitRequest::descriptor();
  holdfast::v1::AddItemsRequest::descriptor();
  holdfast::v1::GetUserRequest::descriptor();
  holdfast::v1::GetEntriesRequest::descriptor();
}

std::unique_ptr<Message> NewMessage(const Descriptor* type) {
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(type)->New());
}

grpc::ByteBuffer Encode(const json& value, const Descriptor* type) {
  const std::unique_ptr<Message> message = NewMessage(type);
  if (const auto status = JsonStringToMessage(value.dump(), message.get()); !status.ok()) Fail(status.ToString());
  const grpc::Slice slice(message->SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

json Decode(grpc::ByteBuffer* bytes, const Descriptor* type) {
  const std::unique_ptr<Message> message = NewMessage(type);
  std::vector<grpc::Slice> slices;
  if (!bytes->Dump(&slices).ok()) Fail("a reply has no bytes");
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  std::string printed;
  if (!message->ParseFromString(text) || !MessageToJsonString(*message, &printed).ok()) Fail("a reply is no message");
  return json::parse(printed);
}

// Returns the channel of a principal: "writer", "reader", "nobody", "flaky" and "flaky-reads".
std::shared_ptr<grpc::Channel> NewChannel(const std::string& who) {
  auto credentials = grpc::SslCredentials({.pem_root_certs = Read(Variable("HOLDFAST_CA"))});
  if (who != "nobody") {
    std::string token = Read(Variable(who == "reader" ? "HOLDFAST_READER_TOKEN" : "HOLDFAST_TOKEN"));
    credentials = grpc::CompositeChannelCredentials(
        credentials, grpc::AccessTokenCredentials(std::string(absl::StripSuffix(token, "\n"))));
  }
  grpc::ChannelArguments arguments;
  const char* const config = who == "flaky-reads" ? "service_config.json" : "service_config_with_ids.json";
  arguments.SetServiceConfigJSON(Read(absl::StrCat(Variable("HOLDFAST_CONFIGS"), "/", config)));
  const bool flaky = who == "flaky" || who == "flaky-reads";
  return grpc::CreateCustomChannel(Variable(flaky ? "HOLDFAST_FLAKY" : "HOLDFAST_ADDRESS"), credentials, arguments);
}

json FailureOf(const grpc::Status& status) {
  json failure = {{"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()))}};
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) {
      failure["reason"] = info.reason();
      for (const auto& [name, value] : info.metadata()) failure["metadata"][name] = value;
    } else if (detail.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) failure["fields"].push_back(violation.field());
    } else if (detail.Is<google::rpc::RetryInfo>()) {
      failure["retry"] = true;
    }
  }
  return failure;
}

class Runner {
 public:
  json Run(const json& step) {
    const std::vector<std::string> names = absl::StrSplit(step.at("method").get<std::string>(), '/');
    const auto* const service =
        DescriptorPool::generated_pool()->FindServiceByName(absl::StrCat("holdfast.v1.", names.at(0)));
    const auto* const method = service == nullptr ? nullptr : service->FindMethodByName(names.at(1));
    if (method == nullptr) Fail("no method " + step.at("method").get<std::string>());

    std::shared_ptr<grpc::Channel>& channel = channels_[step.value("as", "writer")];
    if (channel == nullptr) channel = NewChannel(step.value("as", "writer"));
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(step.value<int64_t>("timeoutMs", kTimeout.count())));
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, absl::StrCat("/", service->full_name(), "/", method->name()), &queue);
    call->StartCall(this);
    bool ok = Wait(&queue);
    const json requests = method->client_streaming() ? step.at("requests") : json::array({step.at("request")});
    for (size_t i = 0; ok && i < requests.size(); ++i) {
      call->Write(Encode(requests[i], method->input_type()), this);
      ok = Wait(&queue);
    }
    if (ok) {
      call->WritesDone(this);
      Wait(&queue);
    }
    json replies = json::array();
    grpc::ByteBuffer bytes;
    const size_t take = step.value<size_t>("take", 0);
    while (take == 0 || replies.size() < take) {
      call->Read(&bytes, this);
      if (!Wait(&queue)) break;
      replies.push_back(Decode(&bytes, method->output_type()));
    }
    const bool taken = take != 0 && replies.size() == take;
    if (taken) context.TryCancel();
    grpc::Status status;
    call->Finish(&status, this);
    Wait(&queue);

    json outcome = json::object();
    if (!status.ok() && !taken) outcome["error"] = FailureOf(status);
    if (method->server_streaming()) {
      outcome["replies"] = replies;
    } else if (status.ok()) {
      outcome["reply"] = replies.at(0);
      const auto& headers = context.GetServerInitialMetadata();
      const auto replayed = headers.find("holdfast-replayed");
      if (replayed != headers.end() && replayed->second == "1") outcome["replayed"] = true;
    }
    return outcome;
  }

 private:
  // Waits for the one operation that is under way.
  static bool Wait(grpc::CompletionQueue* queue) {
    void* tag = nullptr;
    bool ok = false;
    return queue->Next(&tag, &ok) && ok;
  }

  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

// Returns the text at a path as "entries.0.etag".
std::string At(const json& value, const std::string& path) {
  return value.at(json::json_pointer(absl::StrCat("/", absl::StrReplaceAll(path, {{".", "/"}})))).get<std::string>();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) Fail("usage: conformance CASES");
  KeepDescriptors();
  Runner runner;
  const json cases = json::parse(absl::StrReplaceAll(Read(argv[1]), {{"$RUN", Variable("HOLDFAST_RUN")}}));
  for (const json& one : cases) {
    std::map<std::string, std::string> saved;
    json outcomes = json::array();
    for (const json& step : one.at("steps")) {
      std::string text = step.dump();
      for (const auto& [name, value] : saved)
        text = absl::StrReplaceAll(text, {{absl::StrCat("${", name, "}"), value}});
      outcomes.push_back(runner.Run(json::parse(text)));
      const json outcome = outcomes.back();
      const json save = step.value("save", json::object());
      for (const auto& [name, path] : save.items()) {
        saved[name] = At(outcome.contains("reply") ? outcome["reply"] : outcome["replies"], path.get<std::string>());
      }
    }
    std::cout << json({{"case", one.at("case")}, {"outcomes", outcomes}}).dump() << std::endl;
  }
  return 0;
}
