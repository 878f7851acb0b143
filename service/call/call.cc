#include "service/call/call.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "service/call/trace_headers.h"
#include "storage/base/check.h"

namespace holdfast::service {
namespace {

constexpr absl::Duration kTickMax = absl::Seconds(1);
constexpr int kTicksPerLimit = 4;
// A smaller message takes little memory, however it is made.
constexpr size_t kSmallMessageBytes = 16 << 10;

absl::Duration TickOf(const Endpoint& endpoint) {
  return std::min({kTickMax, endpoint.reply_time_max / kTicksPerLimit, endpoint.stream_idle_max / kTicksPerLimit});
}

// Returns the number of ticks after which a limit is over; the tick in which it began does not count.
int64_t TicksIn(absl::Duration limit, absl::Duration tick) { return absl::IDivDuration(limit, tick, &limit) + 1; }

}  // namespace

Call::~Call() {
  if (previous_ == nullptr) return;
  *previous_ = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void Call::Join() {
  next_ = endpoint_->calls;
  previous_ = &endpoint_->calls;
  if (next_ != nullptr) next_->previous_ = &next_;
  endpoint_->calls = this;
  began_ = endpoint_->log->Begin();
  if (endpoint_->tracer != nullptr || began_ != CallLog::kNotMeasured) BeginTrace();
  if (endpoint_->observer != nullptr) arrived_ = endpoint_->executor->clock().Steady();
  Used();
}

void Call::BeginTrace() {
  const TraceHeaders headers = ReadTraceHeaders(context_);
  if (endpoint_->tracer == nullptr) {
    trace_ = Tracer::ForLog(headers);
    return;
  }
  // Health is asked for all the time; a trace of it is of use only to a caller who wants one.
  const Method& method = method_->method();
  trace_ = endpoint_->tracer->Begin(headers, method.name, /*by_ratio=*/!method.open,
                                    /*log_all=*/began_ != CallLog::kNotMeasured);
}

void Call::OnEvent(bool ok) {
  if (state_ == State::kFinishing) {
    state_ = State::kFinished;
    DeleteIfOver();
    return;
  }
  if (!ok) {
    // No call has arrived, so gRPC reports no end of one.
    delete this;
    return;
  }
  state_ = State::kRunning;
  PostNext();
  Join();
  if (bytes_.Valid()) CountReceived(bytes_.Length());
  peer_ = context_.peer();
  origin_ = HttpOriginOf(context_, peer_, endpoint_->http_secret);
  if (origin_ != nullptr) peer_ = origin_->peer;
  Arrived(endpoint_->gate->Admit(method_->method(), shape_, peer_, bytes_.Length(), &lease_,
                                 [this] { return ReadCredentials(context_, origin_.get()); }));
}

void Call::Finish(const absl::Status& outcome) {
  HOLDFAST_CHECK(!outcome.ok() || lease_.has_target(), method_->name());
  state_ = State::kFinishing;
  if (shape_ == CallGate::Shape::kStream) {
    endpoint_->log->StreamEnded(began_, method_->name(), outcome, trace_.get());
  } else {
    endpoint_->log->Ended(
        began_, method_->name(), outcome, [this] { return ObjectName(); }, trace_.get());
  }
  if (trace_ != nullptr && trace_->recorded()) endpoint_->tracer->End(std::move(trace_), outcome);
  if (storage::Observer* const observer = endpoint_->observer) {
    observer->CallEnded({.method = method_->method().number,
                         .stream = shape_ == CallGate::Shape::kStream,
                         .code = outcome.code(),
                         .time = endpoint_->executor->clock().Steady() - arrived_});
  }
  BeginSending();
  final_ = outcome;
  SendSoon([this] { Send(final_, Tag()); });
}

void Call::CountReceived(size_t bytes) const {
  if (endpoint_->observer != nullptr) endpoint_->observer->CallBytes(method_->method().number, bytes, 0);
}

void Call::CountSent(size_t bytes) const {
  if (endpoint_->observer != nullptr) endpoint_->observer->CallBytes(method_->method().number, 0, bytes);
}

void Call::SendSoon(absl::AnyInvocable<void()> send) {
  CompletionQueueExecutor* const executor = CompletionQueueExecutor::Current();
  if (executor == nullptr || lease_.connection() == nullptr) {
    send();
  } else {
    executor->outbox().Add(endpoint_->gate->connections(), lease_.connection(), std::move(send));
  }
}

void Call::DeleteIfOver() {
  if (state_ != State::kFinished || operations_ > 0) return;
  state_ = State::kDeleting;
  Delete();
}

void* Call::Operation::Begin() {
  pending_ = true;
  ++call_->operations_;
  return Tag();
}

void Call::Operation::OnEvent(bool ok) {
  pending_ = false;
  (call_->*then_)(ok);
  --call_->operations_;
  call_->DeleteIfOver();
}

absl::Status Call::IdleTooLong() {
  return actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_STREAM_IDLE,
                           "nothing has happened on the stream for too long (server.stream_idle_timeout_ms)",
                           absl::Milliseconds(100));
}

void DrainCalls(Endpoint* endpoint) {
  // A call deletes itself with its last event, never within Drain or EndIdle.
  for (Call* call = endpoint->calls; call != nullptr; call = call->next_) call->Drain();
}

void WatchCalls(Endpoint* endpoint) {
  const absl::Duration tick = TickOf(*endpoint);
  endpoint->executor->After(tick, [endpoint, tick] {
    const int64_t now = endpoint->tick.fetch_add(1, std::memory_order_relaxed) + 1;
    const int64_t sending_max = TicksIn(endpoint->reply_time_max, tick);
    const int64_t idle_max = TicksIn(endpoint->stream_idle_max, tick);
    for (Call* call = endpoint->calls; call != nullptr; call = call->next_) {
      const int64_t since = call->sending_since_.load(std::memory_order_relaxed);
      if (since != Call::kNotSending && now - since >= sending_max) {
        call->context_.TryCancel();
      } else if (now - call->used_at_ >= idle_max) {
        call->EndIdle();
      } else if (call->shape_ == CallGate::Shape::kStream && !call->finishing()) {
        const absl::Status status = endpoint->gate->Recheck(call->method_->method(), &call->lease_, [call] {
          return ReadCredentials(call->context_, call->origin_.get());
        });
        if (!status.ok()) call->EndDenied(status);
      }
    }
    WatchCalls(endpoint);
  });
}

size_t MemoryBytes(const google::protobuf::Message& message) {
  const size_t bytes = message.ByteSizeLong();
  return bytes < kSmallMessageBytes ? bytes : message.SpaceUsedLong();
}

}  // namespace holdfast::service
