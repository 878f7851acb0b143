#include "tests/client_cli/fake_server.h"

#include <grpcpp/server_builder.h>

#include <utility>
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

// Reads a message, writes its answer, and continues until the client has no more messages or an answer ends the call.
class FakeServer::Call : public grpc::ServerGenericBidiReactor {
 public:
  Call(FakeServer* server, std::string method) : server_(server), method_(std::move(method)) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) return FinishOnce(grpc::Status::OK);
    answer_ = server_->Handle(method_, ToBytes(request_));
    written_ = 0;
    WriteNext();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return answer_.until_cancelled ? FinishCancelled() : FinishOnce(grpc::Status::CANCELLED);
    WriteNext();
  }
  void OnCancel() override {
    cancelled_ = true;
    if (waits_) FinishCancelled();
  }
  void OnDone() override { delete this; }

 private:
  void WriteNext() {
    if (written_ < answer_.messages.size()) {
      const grpc::Slice slice(answer_.messages[written_++]);
      response_ = grpc::ByteBuffer(&slice, 1);
      StartWrite(&response_);
    } else if (!answer_.status.ok()) {
      FinishOnce(answer_.status);
    } else if (answer_.until_cancelled) {
      waits_ = true;
      if (cancelled_) FinishCancelled();
    } else {
      StartRead(&request_);
    }
  }
  void FinishCancelled() {
    if (finished_.exchange(true)) return;
    ++server_->cancelled_;
    Finish(grpc::Status::CANCELLED);
  }
  void FinishOnce(const grpc::Status& status) {
    if (!finished_.exchange(true)) Finish(status);
  }

  FakeServer* const server_;
  const std::string method_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  Answer answer_;
  size_t written_ = 0;
  std::atomic<bool> waits_ = false;  // for the client to cancel, which another thread may report
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> finished_ = false;
};

FakeServer::FakeServer(int port, const std::function<void(FakeServer&)>& prepare,
                       const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  prepare(*this);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port),
                           credentials != nullptr ? credentials : grpc::InsecureServerCredentials(), &port_);
  builder.RegisterCallbackGenericService(this);
  server_ = builder.BuildAndStart();
}

FakeServer::~FakeServer() { server_->Shutdown(); }

std::string FakeServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

grpc::ServerGenericBidiReactor* FakeServer::CreateReactor(grpc::GenericCallbackServerContext* context) {
  const auto authorization = context->client_metadata().find("authorization");
  {
    std::lock_guard lock(mutex_);
    authorizations_.emplace_back(authorization == context->client_metadata().end()
                                     ? ""
                                     : std::string(authorization->second.data(), authorization->second.size()));
  }
  return new Call(this, context->method());
}

std::vector<std::string> FakeServer::authorizations() {
  std::lock_guard lock(mutex_);
  return authorizations_;
}

FakeServer::Answer FakeServer::Handle(const std::string& method, const std::string& request) {
  std::lock_guard lock(mutex_);
  const auto handler = handlers_.find(method);
  if (handler != handlers_.end()) return handler->second(request);
  Answer answer;
  answer.status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "no handler for " + method);
  return answer;
}

}  // namespace holdfast::client
