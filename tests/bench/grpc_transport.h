// Calls over gRPC: unary calls of generated stubs, and streams that carry many calls each.

#ifndef HOLDFAST_TESTS_BENCH_GRPC_TRANSPORT_H_
#define HOLDFAST_TESTS_BENCH_GRPC_TRANSPORT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load.h"

namespace holdfast::bench {

// Opens `count` channels, each with a connection of its own.
inline std::vector<std::shared_ptr<grpc::Channel>> Connect(const std::string& address, int count) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < count; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channels.push_back(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }
  return channels;
}

// The base of both transports: a completion queue whose tags are the slots' operations.
class CompletionQueueTransport : public Transport {
 public:
  ~CompletionQueueTransport() override = default;

  void Poll(absl::Time until, Sink* sink) override {
    void* tag;
    bool ok;
    auto next = queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(until));
    while (next == grpc::CompletionQueue::GOT_EVENT) {
      OnEvent(tag, ok, sink);
      next = queue_.AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC));
    }
  }

 protected:
  virtual void OnEvent(void* tag, bool ok, Sink* sink) = 0;
  void DrainQueue() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  grpc::CompletionQueue queue_;
};

template <typename Service, typename Request, typename Response>
class UnaryTransport final : public CompletionQueueTransport {
 public:
  using Stub = typename Service::Stub;
  using Reader = grpc::ClientAsyncResponseReader<Response>;
  using Prepare = std::unique_ptr<Reader> (Stub::*)(grpc::ClientContext*, const Request&, grpc::CompletionQueue*);
  // Makes the `number`th request by changing the request of an earlier call in the slot.
  using Fill = std::function<void(int64_t number, Request* request)>;
  using Accept = std::function<bool(const Response& response)>;

  UnaryTransport(const std::string& address, int channels, int slots, Prepare prepare, Fill fill, Accept accept = {})
      : prepare_(prepare), fill_(std::move(fill)), accept_(std::move(accept)) {
    for (auto& channel : Connect(address, channels)) stubs_.push_back(Service::NewStub(channel));
    for (int i = 0; i < slots; ++i) slots_.push_back(std::make_unique<Slot>(i));
  }
  ~UnaryTransport() override { DrainQueue(); }

  void Begin(int index, int64_t number) override {
    Slot& slot = *slots_[static_cast<size_t>(index)];
    fill_(number, &slot.request);
    slot.context.emplace();
    slot.reader =
        (stubs_[static_cast<size_t>(index) % stubs_.size()].get()->*prepare_)(&*slot.context, slot.request, &queue_);
    slot.reader->StartCall();
    slot.reader->Finish(&slot.response, &slot.status, &slot);
  }

 private:
  struct Slot {
    explicit Slot(int i) : index(i) {}
    const int index;
    Request request;
    Response response;
    grpc::Status status;
    std::optional<grpc::ClientContext> context;
    std::unique_ptr<Reader> reader;
  };

  void OnEvent(void* tag, bool ok, Sink* sink) override {
    auto* const slot = static_cast<Slot*>(tag);
    sink->Ended(slot->index, ok && slot->status.ok() && (!accept_ || accept_(slot->response)));
  }

  const Prepare prepare_;
  const Fill fill_;
  const Accept accept_;
  std::vector<std::unique_ptr<Stub>> stubs_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

// A transport of bidirectional streams, each on a channel of its own. Results come in the order of the requests. Slots
// are spread over the streams.
template <typename Service, typename Request, typename Response>
class StreamTransport final : public CompletionQueueTransport {
 public:
  using Stub = typename Service::Stub;
  using Stream = grpc::ClientAsyncReaderWriter<Request, Response>;
  using Prepare = std::unique_ptr<Stream> (Stub::*)(grpc::ClientContext*, grpc::CompletionQueue*);
  using Fill = std::function<void(int64_t number, Request* request)>;
  using Accept = std::function<bool(const Response& response)>;

  StreamTransport(const std::string& address, int streams, Prepare prepare, Fill fill, Accept accept)
      : fill_(std::move(fill)), accept_(std::move(accept)) {
    for (auto& channel : Connect(address, streams)) {
      auto& lane = lanes_.emplace_back(std::make_unique<Lane>());
      lane->stub = Service::NewStub(channel);
      lane->stream = (lane->stub.get()->*prepare)(&lane->context, &queue_);
      lane->stream->StartCall(&lane->begun);
    }
  }
  ~StreamTransport() override {
    for (auto& lane : lanes_) lane->context.TryCancel();
    DrainQueue();
  }

  void Begin(int slot, int64_t number) override {
    Lane& lane = *lanes_[static_cast<size_t>(slot) % lanes_.size()];
    lane.waiting.emplace_back(slot, number);
    Write(&lane);
  }

 private:
  struct Lane;
  struct Operation {
    Lane* lane;
    void (StreamTransport::*then)(Lane*, bool ok, Sink* sink);
  };
  struct Lane {
    grpc::ClientContext context;
    std::unique_ptr<Stub> stub;
    std::unique_ptr<Stream> stream;
    Request request;
    Response response;
    std::deque<std::pair<int, int64_t>> waiting;  // to be written
    std::deque<int> written;                      // slots, in order
    bool ready = false;
    bool writing = false;
    Operation begun{this, &StreamTransport::OnBegun};
    Operation wrote{this, &StreamTransport::OnWritten};
    Operation read{this, &StreamTransport::OnRead};
  };

  void Write(Lane* lane) {
    if (!lane->ready || lane->writing || lane->waiting.empty()) return;
    const auto [slot, number] = lane->waiting.front();
    lane->waiting.pop_front();
    lane->written.push_back(slot);
    fill_(number, &lane->request);
    lane->writing = true;
    grpc::WriteOptions options;
    if (!lane->waiting.empty()) options.set_buffer_hint();
    lane->stream->Write(lane->request, options, &lane->wrote);
  }

  void OnBegun(Lane* lane, bool ok, Sink*) {
    lane->ready = ok;
    if (!ok) return;
    lane->stream->Read(&lane->response, &lane->read);
    Write(lane);
  }
  void OnWritten(Lane* lane, bool ok, Sink*) {
    lane->writing = false;
    if (ok) Write(lane);
  }
  void OnRead(Lane* lane, bool ok, Sink* sink) {
    if (!ok) {
      lane->ready = false;
      return;
    }
    const int slot = lane->written.front();
    lane->written.pop_front();
    const bool accepted = accept_(lane->response);
    lane->stream->Read(&lane->response, &lane->read);
    sink->Ended(slot, accepted);
  }

  void OnEvent(void* tag, bool ok, Sink* sink) override {
    const auto* const operation = static_cast<Operation*>(tag);
    (this->*operation->then)(operation->lane, ok, sink);
  }

  const Fill fill_;
  const Accept accept_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_GRPC_TRANSPORT_H_
