#include "tests/client_cli/fake_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <vector>

namespace holdfast::client {
namespace {

std::string ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

// Reads a message, writes its answer, and so on until the client has no more or an answer is an error.
class FakeServer::Call : public grpc::ServerGenericBidiReactor {
 public:
  Call(FakeServer* server, std::string method) : server_(server), method_(std::move(method)) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    std::string bytes;
    const grpc::Status status = server_->Handle(method_, ToBytes(request_), &bytes);
    if (!status.ok()) return Finish(status);
    const grpc::Slice slice(bytes);
    response_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  FakeServer* const server_;
  const std::string method_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

FakeServer::FakeServer() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterCallbackGenericService(this);
  server_ = builder.BuildAndStart();
}

FakeServer::~FakeServer() { server_->Shutdown(); }

std::string FakeServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

grpc::ServerGenericBidiReactor* FakeServer::CreateReactor(grpc::GenericCallbackServerContext* context) {
  return new Call(this, context->method());
}

grpc::Status FakeServer::Handle(const std::string& method, const std::string& request, std::string* response) {
  std::lock_guard lock(mutex_);
  const auto handler = handlers_.find(method);
  if (handler == handlers_.end()) return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "no handler for " + method);
  return handler->second(request, response);
}

}  // namespace holdfast::client
