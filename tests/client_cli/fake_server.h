// A gRPC server on a free port that answers any method as a test tells it to.

#ifndef HOLDFAST_TESTS_CLIENT_CLI_FAKE_SERVER_H_
#define HOLDFAST_TESTS_CLIENT_CLI_FAKE_SERVER_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace holdfast::client {

// Threading: handlers run on gRPC's threads, one at a time. On() may be called at any time.
class FakeServer : private grpc::CallbackGenericService {
 public:
  FakeServer();
  // Waits for the calls in progress.
  ~FakeServer() override;

  std::string address() const;

  // Answers each message of the method, e.g. "/holdfast.v1.CounterService/Increment", also of a stream.
  template <class Request, class Response>
  void On(const std::string& method, std::function<grpc::Status(const Request&, Response*)> handler) {
    std::lock_guard lock(mutex_);
    handlers_[method] = [handler](const std::string& request_bytes, std::string* response_bytes) {
      Request request;
      request.ParseFromString(request_bytes);
      Response response;
      grpc::Status status = handler(request, &response);
      response.SerializeToString(response_bytes);
      return status;
    };
  }

 private:
  class Call;
  using Handler = std::function<grpc::Status(const std::string&, std::string*)>;

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;
  grpc::Status Handle(const std::string& method, const std::string& request, std::string* response);

  std::mutex mutex_;
  std::map<std::string, Handler> handlers_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// An error as the server gives it: ErrorInfo with this reason first.
template <class... Details>
grpc::Status Error(grpc::StatusCode code, const std::string& message, const std::string& reason,
                   const Details&... details) {
  google::rpc::ErrorInfo info;
  info.set_domain("holdfast");
  info.set_reason(reason);
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  status.add_details()->PackFrom(info);
  (status.add_details()->PackFrom(details), ...);
  return grpc::Status(code, message, status.SerializeAsString());
}

inline google::rpc::RetryInfo RetryAfterMs(int ms) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_nanos(ms * 1'000'000);
  return info;
}

}  // namespace holdfast::client

#endif  // HOLDFAST_TESTS_CLIENT_CLI_FAKE_SERVER_H_
