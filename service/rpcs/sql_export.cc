#include <grpcpp/support/async_stream.h>

#include <memory>
#include <string>

#include "holdfast/v1/object_service.pb.h"
#include "service/call/coroutine_call.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/status.h"
#include "service/rpcs/sql_files.h"
#include "storage/sql/snapshot.h"

namespace holdfast::service {
namespace {

// The most pages in one message.
constexpr uint32_t kPagesAtOnce = 64;

class SqlExport final : public CoroutineCall {
 public:
  SqlExport(const RawMethod* method, Endpoint* endpoint) : CoroutineCall(method, endpoint), writer_(&context_) {
    method->ReceiveReplyStream(&context_, &bytes_, &writer_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { PostSqlExport(method_, endpoint_); }
  void Send(const absl::Status& outcome, void* tag) override { writer_.Finish(ToGrpc(outcome), tag); }

  actors::Task<absl::Status> Serve() override {
    v1::ExportSqlRequest request;
    absl::Status status = ParseSmall(&bytes_, &request);
    if (status.ok()) status = Admit(request);
    if (!status.ok()) co_return status;
    std::shared_ptr<storage::sql::Snapshot> snapshot;
    co_await Turn([&snapshot](actors::PlainObject& object) { return object.TakeSnapshot(&snapshot); });
    if (!outcome().ok()) co_return outcome();
    while (!snapshot->at_end()) {
      if (status = CheckGoesOn(); !status.ok()) co_return status;
      response_.clear_chunk();
      co_await Work(endpoint_->reads, [&] { status = snapshot->ReadPages(kPagesAtOnce, response_.mutable_chunk()); });
      if (!status.ok()) co_return actors::FromStorage(status);
      if (status = lease_.ReserveReply(response_.ByteSizeLong()); !status.ok()) co_return status;
      const bool sent = co_await Grpc([this](void* tag) {
        BeginSending();
        const grpc::ByteBuffer chunk = ToWire(response_);
        CountSent(chunk.Length());
        writer_.Write(chunk, tag);
      });
      EndSending();
      if (!sent) {
        status = CheckGoesOn();
        co_return status.ok() ? absl::CancelledError("the client is gone") : status;
      }
    }
    co_return absl::OkStatus();
  }

  v1::ExportSqlResponse response_;
  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_;
};

}  // namespace

void PostSqlExport(const RawMethod* method, Endpoint* endpoint) { new SqlExport(method, endpoint); }

}  // namespace holdfast::service
