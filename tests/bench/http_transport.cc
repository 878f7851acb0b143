#include "tests/bench/http_transport.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace holdfast::bench {
namespace {

constexpr char kHost[] = "127.0.0.1";
constexpr int kTimeoutSeconds = 120;  // longer than the load waits, so that the load gives a call up first

evhttp_connection* Connect(const EventLoop& loop, int port) {
  evhttp_connection* const connection =
      evhttp_connection_base_new(loop.base(), nullptr, kHost, static_cast<uint16_t>(port));
  evhttp_connection_set_timeout(connection, kTimeoutSeconds);
  return connection;
}

// Calls `on_reply` with `argument` when the call has ended, possibly before Send returns. Returns false if `on_reply`
// will never be called.
bool Send(evhttp_connection* connection, const HttpRequest& request, void (*on_reply)(evhttp_request*, void*),
          void* argument) {
  evhttp_request* const sent = evhttp_request_new(on_reply, argument);
  evkeyvalq* const headers = evhttp_request_get_output_headers(sent);
  evhttp_add_header(headers, "Host", kHost);
  if (!request.body.empty()) {
    evhttp_add_header(headers, "Content-Type", request.content_type.c_str());
    evbuffer_add(evhttp_request_get_output_buffer(sent), request.body.data(), request.body.size());
  }
  const bool post = request.method == HttpRequest::Method::kPost;
  return evhttp_make_request(connection, sent, post ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, request.path.c_str()) == 0;
}

// Returns 0 if the connection was lost.
int StatusOf(evhttp_request* reply) { return reply == nullptr ? 0 : evhttp_request_get_response_code(reply); }

}  // namespace

HttpTransport::HttpTransport(int port, int slots, Make make) : make_(std::move(make)) {
  for (int i = 0; i < slots; ++i) slots_.push_back(std::make_unique<Slot>(Slot{this, i, Connect(loop_, port)}));
}

HttpTransport::~HttpTransport() {
  for (auto& slot : slots_) evhttp_connection_free(slot->connection);
}

void HttpTransport::Begin(int index, int64_t number) {
  Slot* const slot = slots_[static_cast<size_t>(index)].get();
  if (!Send(slot->connection, make_(number), &HttpTransport::OnReply, slot)) End(index, false);
}

void HttpTransport::Poll(absl::Time until, Sink* sink) {
  for (const int slot : std::exchange(failed_, {})) {
    sink->Ended(slot, false);
    until = absl::Now();
  }
  sink_ = sink;
  loop_.RunOnce(until);
  sink_ = nullptr;
}

void HttpTransport::OnReply(evhttp_request* reply, void* argument) {
  auto* const slot = static_cast<Slot*>(argument);
  slot->transport->End(slot->index, StatusOf(reply) == HTTP_OK);
}

void HttpTransport::End(int slot, bool ok) {
  if (sink_ != nullptr) {
    sink_->Ended(slot, ok);
  } else {
    failed_.push_back(slot);
  }
}

absl::StatusOr<std::string> CallHttp(int port, const HttpRequest& request, absl::Duration timeout) {
  struct Reply {
    bool ended = false;
    int status = 0;
    std::string body;
  } reply;
  const auto on_reply = [](evhttp_request* received, void* argument) {
    auto* const into = static_cast<Reply*>(argument);
    into->ended = true;
    into->status = StatusOf(received);
    if (into->status == 0) return;
    evbuffer* const body = evhttp_request_get_input_buffer(received);
    into->body.resize(evbuffer_get_length(body));
    evbuffer_copyout(body, into->body.data(), into->body.size());
  };
  EventLoop loop;
  evhttp_connection* const connection = Connect(loop, port);
  const absl::Time until = absl::Now() + timeout;
  bool sent = Send(connection, request, on_reply, &reply);
  while (sent && !reply.ended && absl::Now() < until) loop.RunOnce(until);
  evhttp_connection_free(connection);
  if (reply.status / 100 == 2) return std::move(reply.body);
  const std::string what = absl::StrCat(request.path, " on port ", port);
  if (reply.status == 0) return absl::UnavailableError(absl::StrCat(what, ": no reply"));
  return absl::InternalError(absl::StrCat(what, ": status ", reply.status, ": ", reply.body));
}

}  // namespace holdfast::bench
