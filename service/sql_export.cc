#include <grpcpp/support/async_stream.h>

#include <memory>
#include <string>

#include "service/call/coroutine_call.h"
#include "service/sql_files.h"
#include "service/status.h"
#include "storage/sql/snapshot.h"

namespace holdfast::service {
namespace {

// Of a message.
constexpr uint32_t kPagesAtOnce = 64;

class SqlExport final : public CoroutineCall {
 public:
  SqlExport(v1::ObjectService::AsyncService* service, Endpoint* endpoint)
      : CoroutineCall(endpoint, "holdfast.v1.ObjectService.ExportSql"), service_(service), writer_(&context_) {
    grpc::ServerCompletionQueue* const queue = endpoint->executor->queue();
    service->RequestExportSql(&context_, &request_, &writer_, queue, queue, Tag());
  }

 private:
  void PostNext() override { PostSqlExport(service_, endpoint_); }
  void Finish(const absl::Status& outcome, void* tag) override { writer_.Finish(ToGrpc(outcome), tag); }

  actors::Task<absl::Status> Serve() override {
    absl::Status status = FindObject(request_, nullptr, *endpoint_->classes, &object_);
    if (status.ok()) status = CheckWritable(*object_.object_class);
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
        writer_.Write(response_, tag);
      });
      EndSending();
      if (!sent) {
        status = CheckGoesOn();
        co_return status.ok() ? absl::CancelledError("the client is gone") : status;
      }
    }
    co_return absl::OkStatus();
  }

  v1::ObjectService::AsyncService* const service_;
  v1::ExportSqlRequest request_;
  v1::ExportSqlResponse response_;
  grpc::ServerAsyncWriter<v1::ExportSqlResponse> writer_;
};

}  // namespace

void PostSqlExport(v1::ObjectService::AsyncService* service, Endpoint* endpoint) { new SqlExport(service, endpoint); }

}  // namespace holdfast::service
