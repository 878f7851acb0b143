// Calls over HTTP/1.1 on loopback, with libevent's client.

#ifndef HOLDFAST_TESTS_BENCH_HTTP_TRANSPORT_H_
#define HOLDFAST_TESTS_BENCH_HTTP_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/event_loop.h"
#include "tests/bench/load.h"

struct evhttp_connection;
struct evhttp_request;

namespace holdfast::bench {

struct HttpRequest {
  enum class Method { kGet, kPost };
  Method method = Method::kGet;
  std::string path;
  std::string body = {};
  std::string content_type = "application/json";  // sent only with a body
};

inline HttpRequest PostOf(std::string path, std::string body = "") {
  return {.method = HttpRequest::Method::kPost, .path = std::move(path), .body = std::move(body)};
}

// Each slot has a connection of its own, which stays open from call to call and is opened again after a failure. A call
// is ok if its status is 200.
class HttpTransport final : public Transport {
 public:
  using Make = std::function<HttpRequest(int64_t number)>;

  HttpTransport(int port, int slots, Make make);
  ~HttpTransport() override;

  void Begin(int slot, int64_t number) override;
  void Poll(absl::Time until, Sink* sink) override;

 private:
  struct Slot {
    HttpTransport* transport;
    int index;
    evhttp_connection* connection;
  };

  static void OnReply(evhttp_request* reply, void* slot);
  void End(int slot, bool ok);

  const Make make_;
  EventLoop loop_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Sink* sink_ = nullptr;     // set during Poll
  std::vector<int> failed_;  // slots whose call failed during Begin
};

// Makes one call on a connection of its own, waits for the reply, and returns its body if the status is 2xx.
absl::StatusOr<std::string> CallHttp(int port, const HttpRequest& request, absl::Duration timeout = absl::Seconds(10));

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_HTTP_TRANSPORT_H_
