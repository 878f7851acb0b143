#include "service/call/call_gate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

absl::Status Overloaded(absl::string_view why) {
  return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED, why,
                           absl::Milliseconds(100));
}

}  // namespace

absl::Status CallGate::Draining() {
  return actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_DRAINING, "the server is shutting down",
                           absl::Seconds(1));
}

absl::Status CallGate::Told(const Method& method, absl::Status status) const {
  if (!status.ok() && observer_ != nullptr) observer_->CallRefused(method.name, status);
  return status;
}

absl::Status CallGate::Admit(const Method& method, Shape shape, absl::string_view peer, size_t bytes, Lease* lease) {
  return Told(method, TryAdmit(shape, peer, bytes, lease));
}

absl::Status CallGate::TryAdmit(Shape shape, absl::string_view peer, size_t bytes, Lease* lease) {
  lease->gate_ = this;
  lease->connection_ = connections_->Begin(peer);
  lease->is_stream_ = shape == Shape::kStream;
  const int64_t calls = calls_.fetch_add(1, std::memory_order_relaxed) + 1;
  const int64_t streams = lease->is_stream_ ? streams_.fetch_add(1, std::memory_order_relaxed) + 1 : 0;
  if (draining()) {
    lease->turned_away_ = true;
    turned_away_.fetch_add(1, std::memory_order_relaxed);
    return Draining();
  }
  if (calls > limits_.calls_max) {
    return Overloaded(absl::StrCat("more than ", limits_.calls_max, " calls are in progress (server.calls_max)"));
  }
  if (streams > limits_.streams_max) {
    return Overloaded(absl::StrCat("more than ", limits_.streams_max, " streams are open (server.streams_max)"));
  }
  const int64_t held = kCallBytes + static_cast<int64_t>(bytes);
  if (absl::Status status = AddBytes(lease->connection_, held); !status.ok()) return status;
  lease->request_bytes_ = held;
  return absl::OkStatus();
}

absl::Status CallGate::AdmitTarget(const Method& method, const Target& target, Lease* lease) {
  lease->has_target_ = true;
  if (method.for_clients && target.kind == Target::Kind::kObject && !target.object_class->for_clients) {
    return Told(method, actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_CLASS_READ_ONLY,
                                      absl::StrCat("objects of the class ", target.object_class->name,
                                                   " are written through its own service only; nothing was done")));
  }
  return absl::OkStatus();
}

absl::Status CallGate::AddBytes(Connections::Connection* connection, int64_t bytes) {
  if (!connections_->AddBytes(connection, bytes, limits_.connection_bytes_max)) {
    return Overloaded(absl::StrCat("the calls on this connection would hold over ", limits_.connection_bytes_max,
                                   " bytes (server.connection_bytes_max); read the replies, or ask for less at once"));
  }
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limits_.bytes_max && bytes > 0) {
    RemoveBytes(connection, bytes);
    return Overloaded(
        absl::StrCat("the calls in progress would hold over ", limits_.bytes_max, " bytes (server.call_bytes_max)"));
  }
  return absl::OkStatus();
}

void CallGate::RemoveBytes(Connections::Connection* connection, int64_t bytes) {
  connections_->RemoveBytes(connection, bytes);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

absl::Status CallGate::Lease::Set(int64_t* held, int64_t bytes) {
  const int64_t more = bytes - *held;
  if (more == 0) return absl::OkStatus();
  if (more < 0) {
    gate_->RemoveBytes(connection_, -more);
  } else if (absl::Status status = gate_->AddBytes(connection_, more); !status.ok()) {
    return status;
  }
  *held = bytes;
  return absl::OkStatus();
}

absl::Status CallGate::Lease::CountRequest(size_t bytes) {
  return Set(&request_bytes_, kCallBytes + static_cast<int64_t>(bytes));
}

absl::Status CallGate::Lease::ReserveReply(size_t bytes) { return Set(&reply_bytes_, static_cast<int64_t>(bytes)); }

void CallGate::Lease::CountReply(size_t bytes) {
  const int64_t more = static_cast<int64_t>(bytes) - reply_bytes_;
  if (more == 0) return;
  gate_->RemoveBytes(connection_, -more);
  reply_bytes_ += more;
}

void CallGate::Lease::DropRequest() {
  // A small request is not worth the change; Release() counts it off soon.
  if (request_bytes_ <= 2 * kCallBytes) return;
  gate_->RemoveBytes(connection_, std::exchange(request_bytes_, kCallBytes) - kCallBytes);
}

void CallGate::Lease::Release() {
  if (gate_ == nullptr) return;
  const int64_t bytes = request_bytes_ + reply_bytes_;
  gate_->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  gate_->connections_->End(connection_, bytes);
  gate_->calls_.fetch_sub(1, std::memory_order_relaxed);
  if (is_stream_) gate_->streams_.fetch_sub(1, std::memory_order_relaxed);
  if (turned_away_) gate_->turned_away_.fetch_sub(1, std::memory_order_relaxed);
  gate_ = nullptr;
  request_bytes_ = reply_bytes_ = 0;
}

}  // namespace holdfast::service
