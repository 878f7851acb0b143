#include "service/http/connect_exchange.h"

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "actors/wire/errors.h"
#include "service/call/metadata_text.h"
#include "service/http/json_codec.h"

namespace holdfast::service {
namespace {

constexpr char kContentType[] = "content-type";
constexpr char kJson[] = "application/json";
// The fields of a request that go to the method as metadata. No other does, so no client can say what only nodes of the
// cluster and this port may say.
constexpr const char* kPassedOn[] = {"authorization", "traceparent", "tracestate"};

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

absl::StatusOr<std::string> TextOf(const google::protobuf::Descriptor& message, bool json, grpc::ByteBuffer reply) {
  if (!json) return Bytes(reply);
  grpc::ProtoBufferReader reader(&reply);
  absl::StatusOr<std::string> text = ToJson(message, &reader, ConnectExchange::kJsonReplyBytesMax);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), absl::StrCat(text.status().message(),
                                                         ". The request was carried out; ask for less at once, or for "
                                                         "application/proto"));
}

// The reply is there, and there is no room for its JSON. Without a reason, so that it reads like a lost reply.
absl::Status NoRoom() {
  return absl::UnavailableError(
      "the request was carried out, and there is no room for its reply (server.call_bytes_max, "
      "server.connection_bytes_max); the same request_id gives it again");
}

}  // namespace

bool HttpMethod::may_get() const {
  return descriptor->options().idempotency_level() == google::protobuf::MethodOptions::NO_SIDE_EFFECTS &&
         !descriptor->client_streaming() && !descriptor->server_streaming();
}

std::shared_ptr<Exchange> ConnectExchange::Begin(const ConnectServices& services, const HttpMethod& method,
                                                 const std::shared_ptr<Session>& session, const RequestHead& head,
                                                 Headers headers) {
  auto exchange = std::make_shared<ConnectExchange>(services, method, session, std::move(headers));
  if (!exchange->ReadHead(head)) return nullptr;
  return exchange;
}

void ConnectExchange::Refuse(int status, const absl::Status& why, Headers more) {
  Headers headers = headers_;
  headers.insert(headers.end(), more.begin(), more.end());
  headers.emplace_back(kContentType, kJson);
  session_->Respond(status, headers, ErrorJson(why));
}

bool ConnectExchange::ReadHead(const RequestHead& head) {
  is_get_ = head.method == "GET";
  if (head.method != "POST" && !(is_get_ && method_.may_get())) {
    Refuse(405, absl::UnimplementedError("this method is called with POST"),
           {{"allow", method_.may_get() ? "GET, POST" : "POST"}});
    return false;
  }
  if (!(is_get_ ? ReadGet(head) : ReadPost(head))) return false;

  if (const auto text = head.Find("connect-timeout-ms")) {
    const absl::StatusOr<absl::Duration> timeout = ParseTimeoutMs(*text);
    if (!timeout.ok()) return Fail(timeout.status()), false;
    // gRPC may carry out what has no time at all.
    if (*timeout == absl::ZeroDuration()) return Fail(absl::DeadlineExceededError("Connect-Timeout-Ms is 0")), false;
    request_.timeout = *timeout;
  }
  if (method_.descriptor->client_streaming()) {
    Fail(absl::UnimplementedError("this method takes a stream of requests, which needs HTTP/2: call it with gRPC"));
    return false;
  }
  for (const char* name : kPassedOn) {
    for (std::string& value : head.All(name)) {
      if (!IsMetadataText(value)) {
        Fail(absl::InvalidArgumentError(absl::StrCat(name, ": only printable ASCII may be in it")));
        return false;
      }
      request_.metadata.emplace_back(name, std::move(value));
    }
  }
  request_.path = head.path;
  request_.peer = session_->peer();
  request_.certificate = session_->certificate();
  request_.stream = method_.descriptor->server_streaming();
  const auto credentials = [this] {
    Credentials given;
    given.certificate = request_.certificate;
    for (const auto& [name, value] : request_.metadata) {
      if (name == "authorization") given.authorization.emplace_back(value);
    }
    return given;
  };
  const absl::Status status = services_.gate->CheckCaller(method_.method, request_.peer, credentials);
  if (!status.ok()) return Fail(status), false;
  // Anybody may send it, so it never waits for the thread of large requests, or leaves it to others.
  if (method_.method.open) {
    session_->LimitBody(std::min(kOpenBodyBytesMax, services_.message_bytes_max),
                        "the most of a method that needs no credentials");
  }
  return true;
}

bool ConnectExchange::ReadPost(const RequestHead& head) {
  const bool stream = method_.descriptor->server_streaming() || method_.descriptor->client_streaming();
  const auto type = ParseContentType(head.Find(kContentType).value_or(""));
  // Nothing is a stream of requests over HTTP/1.1, so its method says so in whatever form it is called.
  if (!type || (type->stream != stream && !method_.descriptor->client_streaming())) {
    const absl::string_view types = stream ? kStreamTypes : kUnaryTypes;
    Refuse(415, absl::UnimplementedError(absl::StrCat("Content-Type: this method takes ", types)),
           {{"accept-post", std::string(types)}});
    return false;
  }
  type_ = *type;
  if (head.Find("connect-protocol-version").value_or("1") != "1") {
    Fail(absl::InvalidArgumentError("Connect-Protocol-Version: must be 1"));
    return false;
  }
  const char* const encoding_name = type_.stream ? "connect-content-encoding" : "content-encoding";
  const absl::string_view encoding = head.Find(encoding_name).value_or("identity");
  if (!absl::EqualsIgnoreCase(encoding, "identity") && !encoding.empty()) {
    Fail(absl::UnimplementedError(absl::StrCat(encoding_name, ": only identity is known here")));
    return false;
  }
  return true;
}

bool ConnectExchange::ReadGet(const RequestHead& head) {
  absl::StatusOr<GetQuery> query = ParseGetQuery(head.query);
  if (!query.ok()) return Fail(query.status()), false;
  type_.json = query->json;
  get_message_ = std::move(query->message);
  return true;
}

void ConnectExchange::Run(size_t bytes, std::function<void()> work, std::function<void()> then) {
  if (!type_.json || bytes <= RequestParser::kSmallBytes) {
    work();
    return then();
  }
  // The bytes count until the work is thrown away, also if the client goes meanwhile.
  services_.parser->Run(session_->peer(), [self = shared_from_this(), hold = session_->hold(), work = std::move(work),
                                           then = std::move(then)]() mutable {
    if (!self->gone_) work();
    Loop* const loop = self->session_->loop();
    loop->Post([self = std::move(self), then = std::move(then)] { then(); });
  });
}

void ConnectExchange::OnBody(std::string body) {
  absl::string_view message = is_get_ ? get_message_ : body;
  if (type_.stream) {
    const absl::StatusOr<absl::string_view> only = OnlyMessage(message);
    if (!only.ok()) return SendError(only.status());
    message = *only;
  }
  if (!type_.json) {
    text_ = std::string(message);
    return Call();
  }
  const size_t bytes = message.size();
  Run(
      bytes,
      [this, message = std::string(message)] {
        text_ = FromJson(*method_.descriptor->input_type(), message, services_.message_bytes_max);
      },
      [this] { Call(); });
}

void ConnectExchange::Call() {
  if (gone_) return;
  // Soon after the drain has begun, the server that would take the call is gone.
  if (services_.gate->draining()) return SendError(CallGate::Draining());
  if (!text_.ok()) return SendError(text_.status());
  request_.message = std::exchange(*text_, {});
  // From here on the call gate counts the request.
  Hold(0);
  call_ = services_.backend->Start(std::exchange(request_, {}), session_->loop(), shared_from_this());
}

void ConnectExchange::Hold(size_t bytes) const {
  if (session_->hold() != nullptr) session_->hold()->Count(static_cast<int64_t>(bytes));
}

void ConnectExchange::OnHeaders() {
  if (gone_) return;
  // A client that waits for something to happen is told at once that the call has begun.
  busy_ = true;
  BeginStream();
  session_->SendPart("");
}

void ConnectExchange::OnReply(const grpc::ByteBuffer& reply) {
  if (gone_) return;
  Hold(reply.Length());
  if (type_.stream) return Tell(reply);
  reply_ = reply;
  has_reply_ = true;
}

void ConnectExchange::OnEnd(const absl::Status& outcome) {
  outcome_ = outcome;
  ended_ = true;
  if (gone_) return;
  if (type_.stream) {
    if (!busy_) SendError(outcome_);
    return;
  }
  if (outcome_.ok() && !has_reply_) outcome_ = absl::InternalError("the method has ended without a reply");
  if (!outcome_.ok()) return SendError(outcome_);
  Tell(std::exchange(reply_, {}));
}

void ConnectExchange::Tell(const grpc::ByteBuffer& reply) {
  busy_ = true;
  const size_t bytes = reply.Length();
  Run(
      bytes, [this, reply] { text_ = TextOf(*method_.descriptor->output_type(), type_.json, reply); },
      [this] { SendReply(); });
}

void ConnectExchange::SendReply() {
  if (gone_) return;
  if (text_.ok() && session_->hold() != nullptr && !session_->hold()->Set(static_cast<int64_t>(text_->size())).ok()) {
    text_ = NoRoom();
  }
  if (!text_.ok()) {
    call_->Cancel();
    return SendError(text_.status());
  }
  const std::string text = std::exchange(*text_, {});
  if (type_.stream) {
    return session_->SendPart(Envelope(text));
  }
  gone_ = true;
  session_->Respond(200, AnswerHeaders(ContentTypeName(type_)), text);
}

void ConnectExchange::OnPartSent() {
  busy_ = false;
  Hold(0);
  if (gone_) return;
  if (ended_) return SendError(outcome_);
  call_->ReadNext();
}

void ConnectExchange::OnGone() {
  gone_ = true;
  if (call_ != nullptr && !ended_) call_->Cancel();
}

void ConnectExchange::Fail(const absl::Status& why) { SendError(why); }

Headers ConnectExchange::AnswerHeaders(absl::string_view content_type) const {
  Headers headers = headers_;
  std::vector<std::string> exposed;
  const auto add = [&](absl::string_view prefix, const Metadata& metadata) {
    for (const auto& [name, value] : metadata) {
      exposed.push_back(absl::StrCat(prefix, name));
      headers.emplace_back(exposed.back(), HeaderValue(name, value));
    }
  };
  if (call_ != nullptr) {
    add("", call_->Leading());
    if (!type_.stream) add("trailer-", call_->Trailing());
  }
  Cors::Expose(absl::StrJoin(exposed, ", "), &headers);
  headers.emplace_back(kContentType, std::string(content_type));
  headers.emplace_back(type_.stream ? "connect-accept-encoding" : "accept-encoding", "identity");
  if (is_get_) headers.emplace_back("cache-control", "no-store");
  return headers;
}

void ConnectExchange::BeginStream() {
  if (std::exchange(began_, true)) return;
  session_->BeginParts(200, AnswerHeaders(ContentTypeName(type_)));
}

void ConnectExchange::SendError(const absl::Status& outcome) {
  gone_ = true;
  if (!type_.stream) {
    Headers headers = AnswerHeaders(kJson);
    if (absl::IsUnauthenticated(outcome)) headers.emplace_back("www-authenticate", "Bearer");
    session_->Respond(HttpStatusOf(outcome.code()), headers, ErrorJson(outcome));
    return;
  }
  BeginStream();
  session_->EndParts(EndOfStream(outcome, ended_ ? call_->Trailing() : Metadata()));
}

}  // namespace holdfast::service
