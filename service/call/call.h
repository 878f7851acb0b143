// The life of a call, which all kinds of calls share.
//
//   waiting    in the completion queue of its endpoint, for gRPC to report the call. Next: running; or deleted, when
//              the server shuts down
//   running    it has arrived, its successor waits in its place, and it has asked the gate (call_gate.h): Arrived.
//   Next:
//              finishing
//   finishing  Finish has handed the outcome to gRPC. Next: finished
//   finished   gRPC has sent the outcome or given up. The call is deleted when none of its operations is in progress
//
// A kind of call says how it waits, runs and sends its outcome; this class does the rest. From its arrival to its end a
// call is in the endpoint's list. A drain finds it there, and so does the watch over calls (WatchCalls), which checks
// whether the client still takes replies and whether a stream is still used.
//
// Threading: everything on the endpoint's executor, except Finish of a call without other operations, BeginSending and
// EndSending, which any thread may call. Ownership: a call owns itself, from `new` to its last event.

#ifndef HOLDFAST_SERVICE_CALL_CALL_H_
#define HOLDFAST_SERVICE_CALL_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/call/call_gate.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/credentials.h"
#include "service/call/endpoint.h"
#include "service/call/http_origin.h"
#include "service/call/raw_method.h"
#include "service/traces/call_trace.h"

namespace holdfast::service {

class Call : public Event {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The arrival of the call, and the end of its Finish.
  void OnEvent(bool ok) final;

  // Called when the server drains: a call that would not end by itself ends.
  virtual void Drain() {}
  // Called when nothing has happened on the call for too long. A StreamIncrement, Health.Watch or reflection stream
  // ends then; other calls go on.
  virtual void EndIdle() {}
  // Called when the caller of a stream may not have it any more. Unless a kind of call can say why, it is cancelled.
  virtual void EndDenied(const absl::Status& /*why*/) { context_.TryCancel(); }

 protected:
  // The constructor of a kind of call asks gRPC for a call of the method, with Tag(). `method` outlives the call.
  Call(const RawMethod* method, CallGate::Shape shape, Endpoint* endpoint)
      : endpoint_(endpoint), method_(method), shape_(shape) {}
  virtual ~Call();

  // --- The parts of the life that differ. Each is called once, in this order.
  // Makes the successor, which waits for the next call of the method.
  virtual void PostNext() = 0;
  // Begins the work of the call, or ends it with the error of the gate.
  virtual void Arrived(const absl::Status& admitted) = 0;
  // Hands the outcome to gRPC; `tag` is the tag for that operation.
  virtual void Send(const absl::Status& outcome, void* tag) = 0;
  // Calls `send`, which hands something to gRPC for the client, in the same way.
  void SendSoon(absl::AnyInvocable<void()> send);
  // Deletes the call, at once or after what it has posted.
  virtual void Delete() { delete this; }

  // Ends the call with its outcome: on an executor's thread at the end of its round (service/call/outbox.h), elsewhere
  // at once. Call it once, when no write is in progress; the call may be deleted before this returns. An outcome of OK
  // means that the call has passed both steps of the gate.
  void Finish(const absl::Status& outcome);
  // Returns whether Finish was called.
  bool finishing() const { return state_ >= State::kFinishing; }
  // Returns the name of the call's object for the log; "" for a call without one object.
  virtual std::string ObjectName() const { return ""; }

  // Asks the gate whether the call may have what it is for.
  absl::Status AdmitTarget(const Target& target) {
    return endpoint_->gate->AdmitTarget(method_->method(), target, &lease_,
                                        [this] { return ReadCredentials(context_, origin_.get()); });
  }
  // Returns the address of the client, as gRPC spells it. The call must have arrived.
  const std::string& peer() const { return peer_; }

  // Returns the place for the times of a delivery that the call makes; null if the call is not traced, or has too many.
  TracedDelivery* TraceDelivery() { return trace_ == nullptr ? nullptr : trace_->AddDelivery(/*item=*/false); }

  // The outcome of a stream that EndIdle ends.
  static absl::Status IdleTooLong();

  // These two surround each operation that waits for the client to take something.
  void BeginSending() { sending_since_.store(NowTick(), std::memory_order_relaxed); }
  void EndSending() { sending_since_.store(kNotSending, std::memory_order_relaxed); }
  // Records that something has happened on the stream.
  void Used() { used_at_ = NowTick(); }
  // Tells the observer of a message. The request of a call with one request is told of by this class.
  void CountReceived(size_t bytes) const;
  void CountSent(size_t bytes) const;

  // An operation of a stream that may be in progress beside others: gRPC tells them apart by tag. The call is not
  // deleted before the operation has ended.
  class Operation final : public Event {
   public:
    // `then` is called with gRPC's `ok` when the operation ends.
    template <typename Kind>
    Operation(Kind* call, void (Kind::*then)(bool)) : call_(call), then_(static_cast<void (Call::*)(bool)>(then)) {}
    // Returns the tag for an operation that begins.
    void* Begin();
    bool pending() const { return pending_; }
    void OnEvent(bool ok) override;

   private:
    Call* const call_;
    void (Call::*const then_)(bool);
    bool pending_ = false;
  };

  Endpoint* const endpoint_;
  const RawMethod* const method_;
  grpc::ServerContext context_;
  grpc::ByteBuffer bytes_;  // the request, or the message of a stream that was read last
  CallGate::Lease lease_;
  // The trace of the call, until Finish; null if the call is not traced and its line in the log names no trace.
  std::unique_ptr<CallTrace> trace_;

 private:
  friend void DrainCalls(Endpoint* endpoint);
  friend void WatchCalls(Endpoint* endpoint);

  enum class State { kWaiting, kRunning, kFinishing, kFinished, kDeleting };

  static constexpr int64_t kNotSending = -1;
  int64_t NowTick() const { return endpoint_->tick.load(std::memory_order_relaxed); }

  // Puts the call into the endpoint's list.
  void Join();
  void BeginTrace();
  void DeleteIfOver();

  const CallGate::Shape shape_;
  std::string peer_;
  std::unique_ptr<HttpOrigin> origin_;  // null unless the call came in over HTTP
  State state_ = State::kWaiting;
  absl::Status final_;  // set by Finish
  int operations_ = 0;  // in progress
  // Links of the endpoint's list.
  Call* next_ = nullptr;
  Call** previous_ = nullptr;  // the pointer that points to this; null while the call is not in the list
  // Both times are in ticks of the endpoint's watch over calls.
  std::atomic<int64_t> sending_since_ = kNotSending;
  int64_t used_at_ = 0;
  absl::Time began_ = CallLog::kNotMeasured;
  absl::Time arrived_ = absl::InfinitePast();  // by the steady clock; set if there is an observer
};

// Asks every call of the endpoint to end that has no end of its own.
void DrainCalls(Endpoint* endpoint);

// From now on cancels the calls whose clients do not take a reply within endpoint->reply_time_max, and ends the
// streams that are idle for endpoint->stream_idle_max. It looks a few times within the shorter of the two, and at least
// once a second.
void WatchCalls(Endpoint* endpoint);

// Returns the bytes that a message takes in memory. For a small message this is its size on the wire; for a large one
// it is exact, since many small fields take several times as much memory as they have bytes on the wire.
size_t MemoryBytes(const google::protobuf::Message& message);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CALL_H_
