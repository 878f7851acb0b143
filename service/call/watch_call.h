// The base of calls with one request whose replies come when something happens: WatchAlarms and Health.Watch.
//
// A watch writes one reply at a time, and asks TakeReply for the next when one has been taken by the client. It ends
// when the client is gone, when the server drains, or when the kind of watch says so (End); replies that wait are sent
// before the end, unless the client is gone.
//
// Threading: the executor of the call's queue.

#ifndef HOLDFAST_SERVICE_CALL_WATCH_CALL_H_
#define HOLDFAST_SERVICE_CALL_WATCH_CALL_H_

#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"
#include "service/call/call.h"

namespace holdfast::service {

class WatchCall : public Call {
 protected:
  WatchCall(const RawMethod* method, Endpoint* endpoint);

  // Begins the watch: parses bytes_ and passes the second step of the gate. An error ends the call.
  virtual absl::Status Begin() = 0;
  // Sets the next reply and returns true, or returns false if there is none.
  virtual bool TakeReply(grpc::ByteBuffer* reply) = 0;
  // Returns whether TakeReply() would set another reply at once; then gRPC may keep this one to send them together.
  virtual bool HasReply() const { return false; }
  // Drops the replies that wait; nobody takes them any more.
  virtual void DropReplies() {}
  // The watch has ended: after this there are no new replies, but for those that are under way.
  virtual void OnEnd() {}

  // Sends the headers before the first reply.
  void SendHeaders();
  // Ends the watch, once.
  void End(const absl::Status& outcome);
  bool ended() const { return ended_; }
  // Sends whatever can be sent. Call it after each change.
  void Go();

 private:
  void Arrived(const absl::Status& admitted) final;
  void Send(const absl::Status& outcome, void* tag) final;
  void Drain() final;
  void EndDenied(const absl::Status& why) final;
  void OnWritten(bool ok);
  // Called when the client is gone or the call has ended.
  void OnGone(bool ok);
  void Break();

  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_;
  Operation write_;
  Operation gone_;
  absl::Status outcome_;
  bool ended_ = false;
  bool broken_ = false;  // the client is gone
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_WATCH_CALL_H_
