// A gRPC server whose answers to any method a test chooses.

#ifndef HOLDFAST_TESTS_CLIENT_CLI_FAKE_SERVER_H_
#define HOLDFAST_TESTS_CLIENT_CLI_FAKE_SERVER_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace holdfast::client {

// Threading: handlers run on gRPC's threads, one at a time. On() may be called at any time.
class FakeServer : private grpc::CallbackGenericService {
 public:
  // Listens on this port; 0: a free one. `prepare` is called before any client can reach the server. Without
  // credentials the connection is not encrypted.
  explicit FakeServer(
      int port = 0, const std::function<void(FakeServer&)>& prepare = [](FakeServer&) {},
      const std::shared_ptr<grpc::ServerCredentials>& credentials = nullptr);
  // Waits for the calls in progress.
  ~FakeServer() override;

  int port() const { return port_; }
  std::string address() const;

  // Answers each message of the method, e.g. "/holdfast.v1.CounterService/Increment"; the method may be a stream.
  template <class Request, class Response>
  void On(const std::string& method, std::function<grpc::Status(const Request&, Response*)> handler) {
    std::lock_guard lock(mutex_);
    handlers_[method] = [handler](const std::string& request_bytes) {
      Request request;
      request.ParseFromString(request_bytes);
      Response response;
      Answer answer;
      answer.status = handler(request, &response);
      if (answer.status.ok()) answer.messages.push_back(response.SerializeAsString());
      return answer;
    };
  }

  // Answers the message of a server-streaming method with any number of messages, then ends the call with the status
  // that the handler returned. With OK the call stays open until the client cancels it.
  template <class Request, class Response>
  void OnStream(const std::string& method,
                std::function<grpc::Status(const Request&, std::vector<Response>*)> handler) {
    std::lock_guard lock(mutex_);
    handlers_[method] = [handler](const std::string& request_bytes) {
      Request request;
      request.ParseFromString(request_bytes);
      std::vector<Response> responses;
      Answer answer;
      answer.status = handler(request, &responses);
      answer.until_cancelled = true;
      for (const Response& response : responses) answer.messages.push_back(response.SerializeAsString());
      return answer;
    };
  }

  // The values of the metadata `authorization` of all calls so far, "" for a call without.
  std::vector<std::string> authorizations();

  // The number of calls of OnStream that the client has cancelled.
  int cancelled() const { return cancelled_; }

 private:
  class Call;
  // The answer to a message of the client. If the status is not OK, the call ends after it.
  struct Answer {
    std::vector<std::string> messages;
    grpc::Status status;
    bool until_cancelled = false;
  };
  using Handler = std::function<Answer(const std::string&)>;

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;
  Answer Handle(const std::string& method, const std::string& request);

  std::mutex mutex_;
  std::atomic<int> cancelled_ = 0;
  std::map<std::string, Handler> handlers_;
  std::vector<std::string> authorizations_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Returns an error in the server's form: ErrorInfo with this reason comes first.
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
