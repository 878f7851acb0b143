// One call of a method over the Connect protocol: reads the head, has the gate look at the caller before the body is
// read, makes the request out of it, calls the method (backend_call.h), and tells the outcome.
//
// A reply, or a message of a stream, is counted with the call gate from its arrival until the system has all of it. The
// next message of a stream is asked for when the one before is sent, so a slow client holds one, and its call ends as a
// slow client's of the gRPC port does.
//
// JSON of over 64 KiB is made and read on the thread that parses large requests (call/request_parser.h).
//
// Threading: the session's loop. Ownership: shared by the session and the call.

#ifndef HOLDFAST_SERVICE_HTTP_CONNECT_EXCHANGE_H_
#define HOLDFAST_SERVICE_HTTP_CONNECT_EXCHANGE_H_

#include <google/protobuf/descriptor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "service/call/call_gate.h"
#include "service/call/method.h"
#include "service/call/request_parser.h"
#include "service/http/backend_call.h"
#include "service/http/connect_codec.h"
#include "service/http/cors.h"
#include "service/http/session.h"

namespace holdfast::service {

// A method that can be called over HTTP.
struct HttpMethod {
  Method method;
  const google::protobuf::MethodDescriptor* descriptor;
  // Returns whether a GET may call it: it changes nothing, and has one request and one reply.
  bool may_get() const;
};
// The methods by their paths: "/holdfast.v1.CounterService/Increment".
using HttpMethods = absl::flat_hash_map<std::string, HttpMethod>;

// The things that the calls of a server share. All of it outlives them.
struct ConnectServices {
  Backend* backend;
  CallGate* gate;
  RequestParser* parser;
  size_t message_bytes_max;
};

class ConnectExchange final : public Exchange,
                              public BackendCall::Receiver,
                              public std::enable_shared_from_this<ConnectExchange> {
 public:
  // The most bytes of the body of a call that needs no credentials.
  static constexpr size_t kOpenBodyBytesMax = RequestParser::kSmallBytes;
  // The JSON of a reply may have several times as many bytes as the reply.
  static constexpr size_t kJsonReplyBytesMax = 32 << 20;

  // Returns the exchange for the request, or null if it was answered with an error. `headers` come with each answer.
  static std::shared_ptr<Exchange> Begin(const ConnectServices& services, const HttpMethod& method,
                                         const std::shared_ptr<Session>& session, const RequestHead& head,
                                         Headers headers);

  ConnectExchange(const ConnectServices& services, const HttpMethod& method, std::shared_ptr<Session> session,
                  Headers headers)
      : services_(services), method_(method), session_(std::move(session)), headers_(std::move(headers)) {}

  void OnBody(std::string body) override;
  void Fail(const absl::Status& why) override;
  bool is_stream() const override { return type_.stream; }
  bool keeps_connection() const override { return !method_.method.open; }
  void OnPartSent() override;
  void OnGone() override;
  void OnHeaders() override;
  void OnReply(const grpc::ByteBuffer& reply) override;
  void OnEnd(const absl::Status& outcome) override;

 private:
  // Reads what the head says of the call. Returns whether it goes on; otherwise it is answered.
  bool ReadHead(const RequestHead& head);
  bool ReadPost(const RequestHead& head);
  bool ReadGet(const RequestHead& head);
  // Answers with an error that is not the outcome of a call.
  void Refuse(int status, const absl::Status& why, Headers more = {});
  // Runs `work`, which may take long if there are many bytes, and then `then` on the loop.
  void Run(size_t bytes, std::function<void()> work, std::function<void()> then);
  // Calls the method with the message, which was made.
  void Call();
  // Makes the message for the client out of a reply, and sends it.
  void Tell(const grpc::ByteBuffer& reply);
  void SendReply();
  void BeginStream();
  // Ends the answer: that of a stream also where the outcome is OK.
  void SendError(const absl::Status& outcome);
  Headers AnswerHeaders(absl::string_view content_type) const;
  void Hold(size_t bytes) const;

  const ConnectServices& services_;
  const HttpMethod& method_;
  const std::shared_ptr<Session> session_;
  const Headers headers_;
  ContentType type_;
  bool is_get_ = false;
  std::string get_message_;
  CallRequest request_;
  std::shared_ptr<BackendCall> call_;
  absl::StatusOr<std::string> text_ = std::string();  // the message that is being made
  grpc::ByteBuffer reply_;                            // the one reply, until the call has ended
  bool has_reply_ = false;
  bool began_ = false;              // the head of a stream was given
  bool busy_ = false;               // the head or a message of the stream is on its way
  bool ended_ = false;              // the call has its outcome
  std::atomic<bool> gone_ = false;  // the client is gone, or has its answer. Written on the loop
  absl::Status outcome_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_CONNECT_EXCHANGE_H_
