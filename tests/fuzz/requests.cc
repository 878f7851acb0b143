// Bytes that clients send as requests, through all of a server in this process: gRPC, the call gate, the parser, the
// router, the objects, and a store in memory.
//
// An input is up to 8 calls. Each is a byte for the method, two for the length of the request, and the request. In a
// method with a stream of requests, that is up to 4 messages, each with its length before it.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <stdlib.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/config.h"
#include "service/rpcs/builtin.h"
#include "service/server.h"
#include "storage/base/check.h"
#include "storage/base/log.h"
#include "storage/store/memory_store.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

constexpr size_t kCallsMax = 8;
constexpr size_t kMessagesMax = 4;
// A server is replaced after so many inputs, since its store grows.
constexpr int kInputsPerServer = 2000;
constexpr auto kTimeout = std::chrono::seconds(5);

class World {
 public:
  World() {
    SetLogLevel(LogLevel::kError);
    google::protobuf::SetLogHandler(nullptr);  // which would print every text that is not UTF-8
    char directory[] = "/tmp/holdfast-fuzz-XXXXXX";
    HOLDFAST_CHECK(mkdtemp(directory) != nullptr, "a directory");
    config_.set_listen("127.0.0.1:0");
    config_.set_data_dir(directory);
    config_.mutable_actors()->set_executors(1);
    config_.mutable_sql()->set_time_limit_ms(200);
    config_.mutable_server()->set_drain_timeout_ms(100);
    const std::string rules = absl::StrCat(directory, "/rules.yaml");
    std::ofstream(rules) << "domain: d\ndescriptors: [{key: a, rate_limit: {unit: hour, requests_per_unit: 3}}]";
    config_.mutable_rate_limit_service()->add_rules_file(rules);
    HOLDFAST_CHECK(service::CompleteConfig(&config_).ok(), "the configuration of the target");
    for (const service::RpcTable::Service& each : service::BuiltIn().services) {
      for (const service::RpcTable::Row& row : each.rows) {
        methods_.push_back(google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(row.method));
      }
    }
    Start();
  }

  void CountInput() {
    if (++inputs_ % kInputsPerServer == 0) Start();
  }
  void Call(size_t number, const std::string& bytes) {
    const auto& method = *methods_[number % methods_.size()];
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kTimeout);
    grpc::CompletionQueue queue;
    auto call =
        stub_->PrepareCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue);
    const auto ended = [&queue] {
      void* tag;
      bool ok = false;
      HOLDFAST_CHECK(queue.Next(&tag, &ok), "gRPC ends an operation");
      return ok;
    };
    call->StartCall(nullptr);
    bool ok = ended();
    for (const std::string& message : MessagesOf(method, bytes)) {
      if (!ok) break;
      const grpc::Slice slice(message);
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      ok = ended();
    }
    if (ok) {
      call->WritesDone(nullptr);
      ended();
    }
    // A watch has no end of its own.
    if (absl::StartsWith(method.name(), "Watch")) context.TryCancel();
    grpc::ByteBuffer reply;
    do {
      call->Read(&reply, nullptr);
    } while (ended());
    grpc::Status status;
    call->Finish(&status, nullptr);
    ended();
    HOLDFAST_CHECK(
        status.error_code() != grpc::StatusCode::INTERNAL && status.error_code() != grpc::StatusCode::UNKNOWN,
        absl::StrCat(method.full_name(), ": ", status.error_message()));
  }

 private:
  static std::vector<std::string> MessagesOf(const google::protobuf::MethodDescriptor& method,
                                             const std::string& bytes) {
    if (!method.client_streaming()) return {bytes};
    std::vector<std::string> messages;
    Input input(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    while (messages.size() < kMessagesMax && !input.empty()) {
      const size_t length = input.Below(1 << 16);
      messages.push_back(input.Bytes(length));
    }
    return messages;
  }
  void Start() {
    stub_ = nullptr;
    if (server_ != nullptr) server_->Drain();
    server_ = nullptr;
    service::Extension extension;
    extension.open_store = [](const config::v1::Config&) -> absl::StatusOr<std::unique_ptr<storage::Store>> {
      return std::make_unique<storage::MemoryStore>();
    };
    auto started = service::Server::Start(
        config_, [](const absl::Status& status) { HOLDFAST_CHECK(false, status.ToString()); }, std::move(extension));
    HOLDFAST_CHECK(started.ok(), started.status().ToString());
    server_ = *std::move(started);
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  config::v1::Config config_;
  std::vector<const google::protobuf::MethodDescriptor*> methods_;
  std::unique_ptr<service::Server> server_;
  std::unique_ptr<grpc::GenericStub> stub_;
  int inputs_ = 0;
};

World& TheWorld() {
  static auto* const world = new World;
  return *world;
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using holdfast::fuzz::TheWorld;
  holdfast::fuzz::Input input(data, bytes);
  for (size_t i = 0; i < holdfast::fuzz::kCallsMax && !input.empty(); ++i) {
    const size_t method = input.Byte();
    const size_t length = input.Below(1 << 16);
    TheWorld().Call(method, input.Bytes(length));
  }
  TheWorld().CountInput();
  return 0;
}
