// A connection of the HTTP port: reads requests one after the other, has each answered, and sends the answers.
//
//   handshake   TLS. Next: idle
//   idle        nothing of the next request has come. Next: head
//   head        a part of its head has come. Next: body; or answering, where the head can't be read
//   body        its exchange takes it, and the body is on its way. Next: answering
//   answering   the exchange works, or its answer is being sent. Next: idle; or lingering, or closed
//   lingering   the last answer is sent; bytes that the client still sends are dropped, so that the answer reaches it
//   closed
//
// Each state but answering has a time limit, and so has each part of an answer, from the moment in which it is given to
// that in which the system has taken all of it. While an exchange works, the connection is read a little further, so
// that a client that goes is noticed; bytes that come then are the beginning of its next request. One who says that he
// sends nothing more still gets the answer to what he has sent, but for a stream, which ends. Each request has its turn
// on the loop, so that a client who sends many at once delays nobody.
//
// Threading: the thread of its loop. Ownership: shared by what may call it back; the host forgets it when it is closed.
// Bounds: those of SessionLimits, kAheadBytes of the next request, behind which a stream ends; one answer, which its
// exchange bounds.

#ifndef HOLDFAST_SERVICE_HTTP_SESSION_H_
#define HOLDFAST_SERVICE_HTTP_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "service/call/call_gate.h"
#include "service/http/byte_stream.h"
#include "service/http/loop.h"
#include "service/http/request_reader.h"

namespace holdfast::service {

class Session;

// Names and values of header fields.
using Headers = std::vector<std::pair<std::string, std::string>>;

// Answers one request. The session calls it on the loop.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // The whole body has come; it may be empty.
  virtual void OnBody(std::string body) = 0;
  // The request can't be answered in the usual way: its body is too large or too slow, or there is no room for it.
  virtual void Fail(const absl::Status& why) = 0;
  // Returns whether the answer has no end of its own, so that it ends when the client sends nothing more.
  virtual bool is_stream() const { return false; }
  // Returns whether the connection may not be ended to make room for another one meanwhile.
  virtual bool keeps_connection() const { return true; }
  // A part of a stream has been sent.
  virtual void OnPartSent() {}
  // The client is gone, or has not taken a part in time. Nothing more is called.
  virtual void OnGone() {}
};

struct SessionLimits {
  size_t header_bytes_max;
  size_t body_bytes_max;
  absl::Duration head_time_max;  // of the handshake and the head
  absl::Duration body_time_max;
  absl::Duration idle_time_max;
  absl::Duration send_time_max;  // of a part of an answer
};

// The things that the sessions of a server share.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Answers the request, or returns who will once the body is there; null if it is answered.
  virtual std::shared_ptr<Exchange> Route(const std::shared_ptr<Session>& session, const RequestHead& head) = 0;
  virtual CallGate* gate() = 0;
  // The connections of the port, of which one with a request in progress is not ended to make room.
  virtual Connections* connections() = 0;
  virtual const actors::Clock& clock() const = 0;
  // Connections end after their next answer.
  virtual bool draining() const = 0;
  // A request has its answer, or has lost its client: then the status is 0. Any loop.
  virtual void CountAnswer(int status) = 0;
  virtual void CountBytes(size_t received, size_t sent) = 0;
  // Adds to the bytes of all bodies that have not come whole. Returns false, and adds nothing, if there is no room for
  // more. Any loop.
  virtual bool AddBodyBytes(int64_t more) = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  static constexpr size_t kAheadBytes = 16 << 10;
  static constexpr size_t kLingerBytesMax = 16 << 20;
  static constexpr char kMessageLimit[] = "server.message_bytes_max";
  static constexpr absl::Duration kLingerMax = absl::Seconds(2);

  // `host` outlives it. Takes over the descriptor.
  Session(const SessionLimits& limits, SessionHost* host, Loop* loop, int fd, std::string peer,
          std::unique_ptr<ByteStream> (*stream)(int fd, SSL_CTX* context), std::shared_ptr<SSL_CTX> tls);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start();
  // Ends what has taken longer than it may.
  void Look(absl::Time now);
  // Ends the connection if it has no request in progress.
  void CloseIfIdle();
  // Ends the connection, and what it has in progress: the client has gone, or its time is over.
  void Gone();
  bool closed() const { return state_ == State::kClosed; }

  const std::string& peer() const { return peer_; }
  bool has_tls() const { return tls_ != nullptr; }
  const std::string& certificate() const { return certificate_; }
  Loop* loop() const { return loop_; }
  // The bytes that the exchange holds; it counts them here. There is one while a request is in progress.
  // Work that keeps some of them beyond that keeps the hold.
  const std::shared_ptr<CallGate::Hold>& hold() const { return hold_; }

  // --- For the exchange, one of these for each request. A closed session takes none of them.
  // The body may have no more than so many bytes; `why` says so to the client, and is a constant. Before OnBody.
  void LimitBody(size_t bytes_max, const char* why);
  // Answers with a body of known length.
  // `constant`, which comes behind it, is there as long as the server, so it is sent from where it lies.
  void Respond(int status, const Headers& headers, absl::string_view body, absl::string_view constant = {});
  // Begins an answer whose body comes in parts; its head leaves with the first part, which may be empty. After each
  // part comes OnPartSent, before which no other may come.
  void BeginParts(int status, Headers headers);
  void SendPart(std::string bytes);
  void EndParts(std::string bytes);

 private:
  enum class State { kHandshake, kIdle, kHead, kBody, kAnswering, kLingering, kClosed };
  enum class Sending { kNothing, kPart, kLast };

  void Enter(State state);
  void Shake();
  // Reads as long as there is something to read that is wanted.
  void Pump();
  bool WantsInput() const;
  bool AnswersStream() const { return exchange_ != nullptr && exchange_->is_stream(); }
  void Wait(ByteStream::Next next, void (Session::*then)());
  void OnBytes(absl::string_view bytes);
  // Reads one request as far as its bytes have come.
  void Parse();
  // Returns whether all is well; otherwise the request has been answered.
  bool CheckProblem();
  void OnHead();
  // Counts the bytes of the body that have come.
  absl::Status HoldBody();
  void OnBody();
  void Fail(const absl::Status& why);
  // Answers a request that can't be read.
  void Refuse(int status, absl::string_view why);
  std::string HeadOf(int status, const Headers& headers, std::optional<size_t> length);
  void Send(std::string bytes, Sending what);
  void Flush();
  void OnSendable();
  void OnSent();
  // The answer is sent.
  void EndRequest();
  void Close();
  absl::string_view Unsent() const { return sent_ < out_.size() ? absl::string_view(out_).substr(sent_) : constant_; }
  // Lets go what a request has held.
  void DropRequest();
  void Linger();
  absl::Time Now() const { return host_->clock().Steady(); }

  const SessionLimits limits_;
  SessionHost* const host_;
  Loop* const loop_;
  const std::string peer_;
  const std::shared_ptr<SSL_CTX> tls_;
  Loop::Socket socket_;
  std::unique_ptr<ByteStream> stream_;
  std::string certificate_;
  State state_ = State::kHandshake;
  absl::Time until_ = absl::InfiniteFuture();  // the limit of the state, or of the part that is being sent
  bool reading_ = false;                       // the socket is waited for, to be read
  bool input_ended_ = false;                   // the client sends nothing more
  std::string in_;                             // bytes that no request has taken yet
  std::unique_ptr<RequestReader> reader_;
  size_t lingered_ = 0;

  // --- The request in progress.
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<CallGate::Hold> hold_;
  Connections::Connection* used_ = nullptr;  // once it is whole
  bool keeps_ = true;                        // it keeps the connection
  int64_t body_bytes_ = 0;                   // counted by the host
  const char* body_limit_ = kMessageLimit;
  bool keep_alive_ = false;
  bool is_1_1_ = true;
  bool head_only_ = false;  // HEAD: the answer has no body
  bool chunked_ = false;
  int status_ = 0;  // of its answer

  std::string out_;             // bytes that are being sent
  size_t sent_ = 0;             // of them
  absl::string_view constant_;  // bytes that are to be sent behind them
  Sending sending_ = Sending::kNothing;
  bool flushing_ = false;  // the socket is waited for, to be written to
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_HTTP_SESSION_H_
