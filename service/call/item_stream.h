// Sends the items of a client's stream that another node has on to it, over a stream of the same method. Results come
// in the order of the items. The stream is opened with the first item, and again with the first one after it has ended.
//
// Bounds: the owner holds so many items without a result (stream_outstanding_max) and no more. The other node's flow
// control holds back what it does not read.
//
// Threading: the executor of the call. Ownership: destroy it when it is not open.

#ifndef HOLDFAST_SERVICE_CALL_ITEM_STREAM_H_
#define HOLDFAST_SERVICE_CALL_ITEM_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "service/call/completion_queue_executor.h"
#include "service/call/forward_stream.h"
#include "service/call/placement.h"

namespace holdfast::service {

class ItemStream final : private ForwardStream::Owner {
 public:
  // Takes the item's result, or an error without one. An error of the stream is that of all its items.
  using Done = absl::AnyInvocable<void(const absl::Status& status, grpc::ByteBuffer* result)>;

  // A stream of the method `method`, on behalf of `call`. `on_closed` is called each time that the stream has ended,
  // last.
  ItemStream(const grpc::ServerContext* call, std::shared_ptr<Peer> peer, const std::string* method,
             CompletionQueueExecutor* executor, absl::AnyInvocable<void()> on_closed);
  ItemStream(const ItemStream&) = delete;
  ItemStream& operator=(const ItemStream&) = delete;

  void Send(const grpc::ByteBuffer& item, Done done);
  bool open() const { return stream_ != nullptr; }
  // Ends the stream in order, once all items have their results.
  void Close();
  // Ends the stream soon.
  void Cancel();

 private:
  struct Item {
    grpc::ByteBuffer bytes;  // empty once it is sent
    Done done;
  };

  void OnMessage(grpc::ByteBuffer* message) override;
  void OnWritten() override;
  void OnEnded(const absl::Status& outcome) override;
  // Writes the next item, if there is one and none is under way.
  void WriteNext();

  const grpc::ServerContext* const call_;
  const std::shared_ptr<Peer> peer_;
  const std::string* const method_;
  CompletionQueueExecutor* const executor_;
  absl::AnyInvocable<void()> on_closed_;
  ForwardStream* stream_ = nullptr;  // null: not open
  std::deque<Item> items_;           // without a result, in order
  size_t sent_ = 0;                  // the first so many of items_ were sent
  bool writing_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_ITEM_STREAM_H_
