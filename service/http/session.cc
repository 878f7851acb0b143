#include "service/http/session.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/http/http_status.h"

namespace holdfast::service {
namespace {

constexpr size_t kReadBytes = 16 << 10;
// A connection that sends without pause lets others have their turn after so many reads.
constexpr int kReadsAtOnce = 16;

// A value with a line end would begin another field.
bool IsFieldValue(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= ' ' && c != '\x7f'); });
}

}  // namespace

Session::Session(const SessionLimits& limits, SessionHost* host, Loop* loop, int fd, std::string peer,
                 std::unique_ptr<ByteStream> (*stream)(int fd, SSL_CTX* context), std::shared_ptr<SSL_CTX> tls)
    : limits_(limits),
      host_(host),
      loop_(loop),
      peer_(std::move(peer)),
      tls_(std::move(tls)),
      socket_(loop, fd),
      stream_(stream(fd, tls_.get())) {}

Session::~Session() = default;

void Session::Enter(State state) {
  state_ = state;
  switch (state) {
    case State::kHandshake:
    case State::kHead:
      until_ = Now() + limits_.head_time_max;
      break;
    case State::kIdle:
      until_ = Now() + limits_.idle_time_max;
      break;
    case State::kBody:
      until_ = Now() + limits_.body_time_max;
      break;
    case State::kLingering:
      until_ = Now() + kLingerMax;
      break;
    case State::kAnswering:
    case State::kClosed:
      until_ = absl::InfiniteFuture();
      break;
  }
}

void Session::Start() {
  Enter(State::kHandshake);
  if (stream_ == nullptr) return Close();
  Shake();
}

void Session::Shake() {
  if (closed()) return;
  const ByteStream::Outcome outcome = stream_->Handshake();
  if (outcome.next == ByteStream::Next::kEnd || outcome.next == ByteStream::Next::kBroken) return Close();
  if (outcome.next != ByteStream::Next::kDone) return Wait(outcome.next, &Session::Shake);
  certificate_ = stream_->CertificateName();
  // A client that has connected and says nothing has as long as for a head.
  state_ = State::kIdle;
  Pump();
}

void Session::Wait(ByteStream::Next next, void (Session::*then)()) {
  auto go = [self = shared_from_this(), then] { ((*self).*then)(); };
  if (next == ByteStream::Next::kReadable) {
    socket_.WaitReadable(std::move(go));
  } else {
    socket_.WaitWritable(std::move(go));
  }
}

bool Session::WantsInput() const {
  switch (state_) {
    case State::kIdle:
      return in_.empty();  // a request that is there has its turn first
    case State::kHead:
    case State::kBody:
    case State::kLingering:
      return true;
    case State::kAnswering:
      // A stream is read on and on, so that the end of its client is noticed; OnBytes ends one that sends too much.
      return !input_ended_ && (in_.size() < kAheadBytes || AnswersStream());
    case State::kHandshake:
    case State::kClosed:
      return false;
  }
  return false;
}

void Session::Pump() {
  char space[kReadBytes];
  for (int reads = 0; !reading_ && WantsInput(); ++reads) {
    if (input_ended_) return Gone();
    if (reads == kReadsAtOnce) {
      reading_ = true;
      return loop_->Post([self = shared_from_this()] {
        self->reading_ = false;
        self->Pump();
      });
    }
    const ByteStream::Outcome outcome = stream_->Read(space, sizeof(space));
    if (outcome.next == ByteStream::Next::kBroken) return Gone();
    if (outcome.next == ByteStream::Next::kEnd) {
      if (state_ != State::kAnswering || AnswersStream()) return Gone();
      input_ended_ = true;
      return;
    }
    if (outcome.next != ByteStream::Next::kDone) {
      reading_ = true;
      auto go = [self = shared_from_this()] {
        self->reading_ = false;
        self->Pump();
      };
      return outcome.next == ByteStream::Next::kReadable ? socket_.WaitReadable(std::move(go))
                                                         : socket_.WaitWritable(std::move(go));
    }
    host_->CountBytes(outcome.bytes, 0);
    OnBytes({space, outcome.bytes});
  }
}

void Session::OnBytes(absl::string_view bytes) {
  if (state_ == State::kLingering) {
    lingered_ += bytes.size();
    if (lingered_ > kLingerBytesMax) Close();
    return;
  }
  in_.append(bytes.data(), bytes.size());
  if (state_ != State::kAnswering) return Parse();
  if (in_.size() >= kAheadBytes && AnswersStream()) Gone();
}

void Session::Parse() {
  if (state_ == State::kIdle && !in_.empty()) {
    Enter(State::kHead);
    reader_ = std::make_unique<RequestReader>(limits_.header_bytes_max, limits_.body_bytes_max);
    head_only_ = false;
    is_1_1_ = true;
  }
  while (state_ == State::kHead || state_ == State::kBody) {
    const size_t taken = in_.empty() ? 0 : reader_->Take(in_);
    in_.erase(0, taken);
    if (!CheckProblem()) return;
    if (state_ == State::kHead && reader_->has_head()) {
      OnHead();
      continue;
    }
    if (state_ == State::kBody) {
      if (absl::Status status = HoldBody(); !status.ok()) return Fail(status);
      if (reader_->done()) return OnBody();
    }
    if (taken > 0) continue;
    // The parser waits for the end of a line. Those of chunks have no bound of its own.
    if (in_.size() > limits_.header_bytes_max) Refuse(400, "the request can't be read: a line is too long");
    return;
  }
}

bool Session::CheckProblem() {
  switch (reader_->problem()) {
    case RequestReader::Problem::kNone:
      return true;
    case RequestReader::Problem::kHeadTooLarge:
      return Refuse(431, reader_->explanation()), false;
    case RequestReader::Problem::kVersion:
      return Refuse(505, reader_->explanation()), false;
    case RequestReader::Problem::kBodyTooLarge:
      if (state_ == State::kHead) return true;  // the exchange tells it in its own way
      return Fail(absl::ResourceExhaustedError(absl::StrCat(reader_->explanation(), " (", body_limit_, ")"))), false;
    case RequestReader::Problem::kMalformed:
      return Refuse(400, reader_->explanation()), false;
  }
  return true;
}

absl::Status Session::HoldBody() {
  const auto bytes = static_cast<int64_t>(reader_->body().size());
  if (absl::Status status = hold_->Set(bytes); !status.ok()) return status;
  // A body that has come whole is the call's.
  const int64_t waiting = reader_->done() ? 0 : bytes;
  if (!host_->AddBodyBytes(waiting - body_bytes_)) {
    return CallGate::Overloaded("too many bytes of requests that have not come whole (http.body_bytes_of_all_max)");
  }
  body_bytes_ = waiting;
  return absl::OkStatus();
}

void Session::LimitBody(size_t bytes_max, const char* why) {
  body_limit_ = why;
  reader_->LimitBody(bytes_max);
}

void Session::OnHead() {
  const RequestHead& head = reader_->head();
  keep_alive_ = head.keep_alive && head.is_1_1;
  is_1_1_ = head.is_1_1;
  head_only_ = head.method == "HEAD";
  hold_ = std::make_shared<CallGate::Hold>(host_->gate(), peer_);
  body_limit_ = kMessageLimit;
  status_ = 0;
  Enter(State::kBody);
  std::shared_ptr<Exchange> exchange = host_->Route(shared_from_this(), head);
  if (state_ != State::kBody) return;
  exchange_ = std::move(exchange);
  const bool wanted = reader_->problem() == RequestReader::Problem::kNone && !reader_->done();
  if (head.expects_continue && wanted && in_.empty()) {
    Send("HTTP/1.1 100 Continue\r\n\r\n", Sending::kNothing);
  }
}

void Session::OnBody() {
  // Nobody would notice the end of such a client.
  if (exchange_->is_stream() && (input_ended_ || in_.size() >= kAheadBytes)) return Gone();
  Enter(State::kAnswering);
  // Until now the connection could be ended to make room.
  keeps_ = exchange_->keeps_connection();
  used_ = host_->connections()->Begin(peer_, keeps_);
  // The end of the answer drops the session's own reference.
  const std::shared_ptr<Exchange> exchange = exchange_;
  exchange->OnBody(std::move(reader_->body()));
}

void Session::Fail(const absl::Status& why) {
  const std::shared_ptr<Exchange> exchange = exchange_;
  exchange->Fail(why);
}

void Session::Refuse(int status, absl::string_view why) {
  Enter(State::kAnswering);
  keep_alive_ = false;
  const std::shared_ptr<Exchange> exchange = std::move(exchange_);
  if (exchange != nullptr) exchange->OnGone();
  Respond(status, {{"content-type", "text/plain; charset=utf-8"}}, absl::StrCat(why, "\n"));
}

std::string Session::HeadOf(int status, const Headers& headers, std::optional<size_t> length) {
  std::string head = absl::StrCat("HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\n");
  absl::StrAppend(&head, "date: ", HttpDate(host_->clock().Wall()), "\r\n");
  for (const auto& [name, value] : headers) {
    if (IsFieldValue(value)) absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&head, "x-content-type-options: nosniff\r\n");
  if (length && status != 204 && status != 304) absl::StrAppend(&head, "content-length: ", *length, "\r\n");
  if (chunked_) absl::StrAppend(&head, "transfer-encoding: chunked\r\n");
  if (!keep_alive_) absl::StrAppend(&head, "connection: close\r\n");
  absl::StrAppend(&head, "\r\n");
  return head;
}

void Session::Respond(int status, const Headers& headers, absl::string_view body, absl::string_view constant) {
  if (closed()) return;
  // A body that is not read to its end would be taken for the next request.
  if (reader_ == nullptr || !reader_->done() || host_->draining()) keep_alive_ = false;
  if (state_ != State::kAnswering) Enter(State::kAnswering);
  status_ = status;
  chunked_ = false;
  std::string bytes = HeadOf(status, headers, body.size() + constant.size());
  if (!head_only_) {
    absl::StrAppend(&bytes, body);
    constant_ = constant;
  }
  Send(std::move(bytes), Sending::kLast);
}

void Session::BeginParts(int status, Headers headers) {
  if (closed()) return;
  if (state_ != State::kAnswering) Enter(State::kAnswering);
  // A client of HTTP/1.0 knows the end of the body by that of the connection.
  if (!is_1_1_ || host_->draining() || !reader_->done()) keep_alive_ = false;
  chunked_ = is_1_1_;
  status_ = status;
  out_ += HeadOf(status, headers, std::nullopt);
}

void Session::SendPart(std::string bytes) {
  if (closed()) return;
  // A chunk without bytes would be the end.
  if (chunked_ && !bytes.empty()) bytes = absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
  Send(std::move(bytes), Sending::kPart);
}

void Session::EndParts(std::string bytes) {
  if (closed()) return;
  if (chunked_) bytes = absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n0\r\n\r\n");
  Send(std::move(bytes), Sending::kLast);
}

void Session::Send(std::string bytes, Sending what) {
  if (out_.empty()) {
    out_ = std::move(bytes);
  } else {
    out_ += bytes;
  }
  if (what != Sending::kNothing) {
    sending_ = what;
    until_ = Now() + limits_.send_time_max;
  }
  Flush();
}

void Session::Flush() {
  if (closed()) return;
  for (absl::string_view unsent = Unsent(); !unsent.empty(); unsent = Unsent()) {
    const ByteStream::Outcome outcome = stream_->Write(unsent);
    if (outcome.next == ByteStream::Next::kEnd || outcome.next == ByteStream::Next::kBroken) return Gone();
    if (outcome.next != ByteStream::Next::kDone) {
      if (std::exchange(flushing_, true)) return;
      return Wait(outcome.next, &Session::OnSendable);
    }
    host_->CountBytes(0, outcome.bytes);
    if (sent_ < out_.size()) {
      sent_ += outcome.bytes;
    } else {
      constant_.remove_prefix(outcome.bytes);
    }
  }
  out_ = {};
  sent_ = 0;
  OnSent();
}

void Session::OnSendable() {
  flushing_ = false;
  Flush();
}

void Session::OnSent() {
  const Sending what = std::exchange(sending_, Sending::kNothing);
  if (what == Sending::kNothing) return;
  until_ = absl::InfiniteFuture();
  if (what == Sending::kLast) return EndRequest();
  const std::shared_ptr<Exchange> exchange = exchange_;
  if (exchange != nullptr) exchange->OnPartSent();
}

void Session::DropRequest() {
  exchange_ = nullptr;
  hold_ = nullptr;
  host_->AddBodyBytes(-std::exchange(body_bytes_, 0));
  if (used_ != nullptr) host_->connections()->End(std::exchange(used_, nullptr), 0, keeps_);
}

void Session::EndRequest() {
  host_->CountAnswer(status_);
  DropRequest();
  if (!keep_alive_) return Linger();
  reader_ = nullptr;
  Enter(State::kIdle);
  if (in_.empty()) in_ = {};
  // The next request may be there already. It gets its turn by the loop, so that many of them do not nest.
  loop_->Post([self = shared_from_this()] {
    if (self->state_ != State::kIdle) return;
    self->Parse();
    self->Pump();
  });
}

void Session::Linger() {
  reader_ = nullptr;
  in_ = {};
  Enter(State::kLingering);
  stream_->EndWriting();
  loop_->Post([self = shared_from_this()] { self->Pump(); });
}

void Session::Gone() {
  const std::shared_ptr<Exchange> exchange = std::move(exchange_);
  if (used_ != nullptr && state_ == State::kAnswering) host_->CountAnswer(0);
  if (exchange != nullptr) exchange->OnGone();
  Close();
}

void Session::Close() {
  if (closed()) return;
  Enter(State::kClosed);
  DropRequest();
  reader_ = nullptr;
  in_ = {};
  out_ = {};
  stream_ = nullptr;
  socket_.Close();
}

void Session::CloseIfIdle() {
  if (state_ == State::kIdle || state_ == State::kHandshake || state_ == State::kHead) Close();
}

void Session::Look(absl::Time now) {
  if (now < until_) return;
  switch (state_) {
    case State::kHandshake:
    case State::kIdle:
    case State::kLingering:
      return Close();
    case State::kHead:
      return Refuse(408, "the head of the request has not come in time (http.head_time_limit_ms)");
    case State::kBody:
      return Fail(absl::DeadlineExceededError("the body has not come in time (http.body_time_limit_ms)"));
    case State::kAnswering:
      return Gone();
    case State::kClosed:
      return;
  }
}

}  // namespace holdfast::service
