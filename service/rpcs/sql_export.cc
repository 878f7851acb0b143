#include <memory>

#include "holdfast/v1/object_service.pb.h"
#include "service/call/small_request.h"
#include "service/rpcs/file_calls.h"
#include "service/rpcs/sql_files.h"
#include "storage/sql/snapshot.h"

namespace holdfast::service {
namespace {

// The most pages in one message.
constexpr uint32_t kPagesAtOnce = 64;

class SqlExport final : public FileExport<v1::ExportSqlRequest, v1::ExportSqlResponse> {
 public:
  using FileExport::FileExport;

 private:
  void PostNext() override { PostSqlExport(method_, endpoint_); }

  actors::Task<absl::Status> Export() override {
    absl::Status status;
    std::shared_ptr<storage::sql::Snapshot> snapshot;
    co_await Turn([&snapshot](actors::PlainObject& object) { return object.TakeSnapshot(&snapshot); });
    if (!outcome().ok()) co_return outcome();
    while (!snapshot->at_end()) {
      if (status = CheckGoesOn(); !status.ok()) co_return status;
      response_.clear_chunk();
      co_await Work(endpoint_->reads, [&] { status = snapshot->ReadPages(kPagesAtOnce, response_.mutable_chunk()); });
      if (!status.ok()) co_return actors::FromStorage(status);
      if (status = lease_.ReserveReply(response_.ByteSizeLong()); !status.ok()) co_return status;
      if (status = co_await SendChunk(); !status.ok()) co_return status;
    }
    co_return absl::OkStatus();
  }
};

}  // namespace

void PostSqlExport(const RawMethod* method, Endpoint* endpoint) { new SqlExport(method, endpoint); }

}  // namespace holdfast::service
