// The life of a call, which all kinds of calls share.
//
// A call waits in the completion queue of its endpoint. When it has arrived it passes the call gate (Admit), runs,
// sends its replies, and ends; then it deletes itself. From its arrival to its end it is in the endpoint's list. A
// drain finds it there, and so does the watch over calls (WatchCalls), which checks whether the client still takes
// replies and whether a stream is still used.
//
// Threading: everything on the endpoint's executor, except BeginSending and EndSending, which any thread may call.

#ifndef HOLDFAST_SERVICE_CALL_CALL_H_
#define HOLDFAST_SERVICE_CALL_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/call/call_gate.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/endpoint.h"

namespace holdfast::service {

class Call : public Event {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Called when the server drains: a call that would not end by itself ends.
  virtual void Drain() {}
  // Called when nothing has happened on the call for too long. A StreamIncrement, Health.Watch or reflection stream
  // ends then; other calls go on.
  virtual void EndIdle() {}

 protected:
  explicit Call(Endpoint* endpoint) : endpoint_(endpoint) {}
  ~Call();

  // Puts a call that has arrived into the endpoint's list and asks the gate. An error is the outcome of the call, which
  // is still to be sent.
  absl::Status Admit(absl::string_view method, size_t bytes);

  // Does the same for a call with a stream; the gate has a bound of its own for these.
  absl::Status AdmitStream(absl::string_view method, size_t bytes = 0);
  // The outcome of a stream that EndIdle ends.
  static absl::Status IdleTooLong();

  // Logs the outcome of a call with a stream: a refusal has a line at the level DEBUG (call_log.h).
  void LogStreamEnd(absl::string_view method, const absl::Status& outcome) {
    endpoint_->log->StreamEnded(began_, method, outcome);
  }
  // Returns the time at which the call arrived, for the log.
  absl::Time began() const { return began_; }

  // These two surround each operation that waits for the client to take something.
  void BeginSending() { sending_since_.store(NowTick(), std::memory_order_relaxed); }
  void EndSending() { sending_since_.store(kNotSending, std::memory_order_relaxed); }
  // Records that something has happened on the stream.
  void Used() { used_at_ = NowTick(); }

  Endpoint* const endpoint_;
  grpc::ServerContext context_;
  CallGate::Lease lease_;

 private:
  friend void DrainCalls(Endpoint* endpoint);
  friend void WatchCalls(Endpoint* endpoint);

  static constexpr int64_t kNotSending = -1;
  int64_t NowTick() const { return endpoint_->tick.load(std::memory_order_relaxed); }

  // Puts the call into the endpoint's list.
  void Join();

  // Links of the endpoint's list.
  Call* next_ = nullptr;
  Call** previous_ = nullptr;  // the pointer that points to this; null while the call is not in the list
  // Both times are in ticks of the endpoint's watch over calls.
  std::atomic<int64_t> sending_since_ = kNotSending;
  int64_t used_at_ = 0;
  absl::Time began_ = CallLog::kNotMeasured;
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
