// RestoreObject: one object out of the backups into the running server.
//
// The backup is read on the thread of maintenance, so there is one restore at a time and it gives way to all others.
// The object that it has read is in memory, bounded like the file of an import; the object is then changed in one turn,
// as an import changes it. Nothing else is written, so a crash leaves nothing.

#include <grpcpp/support/async_unary_call.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "actors/wire/errors.h"
#include "actors/wire/wire_time.h"
#include "service/call/admin_services.h"
#include "service/call/canonical_hash.h"
#include "service/call/small_request.h"
#include "service/rpcs/admin_calls.h"
#include "service/rpcs/file_calls.h"
#include "storage/backup/backups.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

using storage::Backups;

absl::Status Refused(absl::string_view why) {
  return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_PRECONDITION_FAILED,
                       absl::StrCat(why, "; nothing was done"));
}

// Runs work on the thread of maintenance, unless that has other work.
class OnMaintenance final : public storage::Background {
 public:
  OnMaintenance(Maintenance* maintenance, CompletionQueueExecutor* executor)
      : maintenance_(maintenance), executor_(executor) {}

  void Run(absl::AnyInvocable<void()> work, absl::AnyInvocable<void()> done) override {
    auto ended = std::make_shared<absl::AnyInvocable<void()>>(std::move(done));
    const auto end = [executor = executor_, ended] { executor->Post([ended] { (*ended)(); }); };
    begun_ = maintenance_->Begin(
        [this, work = std::move(work)](const std::atomic<bool>& stopping) mutable {
          stopping_ = &stopping;
          work();
        },
        end);
    if (!begun_) end();
  }
  void Post(absl::AnyInvocable<void()> done) override { executor_->Post(std::move(done)); }

  // Returns whether the work was run.
  bool begun() const { return begun_; }
  // For the work: returns whether it is to end soon.
  bool stopping() const { return *stopping_; }

 private:
  Maintenance* const maintenance_;
  CompletionQueueExecutor* const executor_;
  bool begun_ = false;
  const std::atomic<bool>* stopping_ = nullptr;
};

class RestoreObjectCall final : public RecordedCall<v1::RestoreObjectRequest, v1::RestoreObjectResponse,
                                                    grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> {
 public:
  RestoreObjectCall(const RawMethod* method, Endpoint* endpoint) : RecordedCall(method, endpoint) {
    method->ReceiveUnary(&context_, &bytes_, &stream_, endpoint->executor->queue(), Tag());
  }

 private:
  void PostNext() override { PostRestoreObject(method_, endpoint_); }

  std::string Hash() const override {
    const std::string request = actors::SerializeDeterministically(request_);
    return CanonicalBytes(XXH3_128bits(request.data(), request.size()));
  }

  actors::Task<absl::Status> Serve() override {
    Backups::Wanted wanted;
    if (absl::Status status = Check(&wanted); !status.ok()) co_return status;

    Backups* const backups = endpoint_->admin->backups;
    OnMaintenance thread(endpoint_->admin->maintenance, endpoint_->executor);
    wanted.goes_on = [this, &thread] { return !stopped() && !thread.stopping(); };
    absl::StatusOr<Backups::Found> found = absl::InternalError("not read");
    co_await Work(&thread, [&] { found = backups->ReadObject(wanted); });
    if (!thread.begun()) co_return Refused("another CompactStore, Scrub or RestoreObject is under way");
    if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
    if (!found.ok()) co_return Failure(found.status());

    storage::ObjectImage& image = found->object.image;
    size_t bytes = 0;
    for (const auto& [key, value] : image.keys) bytes += key.size() + value.size();
    // The keys as they were read and as they are written are in memory at the same time.
    if (absl::Status status = lease_.ReserveReply(2 * bytes); !status.ok()) co_return status;
    if (image.schema_version < object_.object_class->schema_version()) {
      co_return Refused(absl::StrCat("the backup ", found->object.backup.id, " has version ", image.schema_version,
                                     " of class ", image.object_class, ", and this server has version ",
                                     object_.object_class->schema_version(),
                                     ": restore the whole backup to another directory (holdfastd --restore), and "
                                     "export the object from there"));
    }
    actors::SetTimestamp(absl::ToUnixMicros(found->moment), response_.mutable_restored_to());
    response_.set_backup_id(found->object.backup.id);
    response_.set_bytes(static_cast<int64_t>(bytes));
    co_await AnyTurn(
        [&](actors::Object& object) {
          return object.Import(*object_.object_class, std::move(image), request_.replace());
        },
        recorded());
    if (outcome().ok()) {
      Log(LogLevel::kInfo, "object_restored",
          {{"object", object_.key.DebugString()},
           {"backup", absl::StrCat(found->object.backup.id)},
           {"restored_to", storage::TimeText(found->moment)}});
    }
    co_return outcome();
  }

  // Checks the request. object_ is the target then, and `*wanted` says what is to be read.
  absl::Status Check(Backups::Wanted* wanted) {
    if (absl::Status status = ParseSmall(&bytes_, &request_); !status.ok()) return status;
    if (absl::Status status = Admit(request_); !status.ok()) return status;
    wanted->key = object_.key;
    if (request_.has_at()) {
      const absl::StatusOr<int64_t> at = actors::MicrosOf(request_.at(), "at");
      if (!at.ok()) return at.status();
      // The object is not to be later than the moment.
      wanted->at = absl::FromUnixMicros(request_.at().nanos() % 1000 == 0 ? *at : *at - 1);
    }
    if (!request_.target_name().empty()) {
      if (request_.target_name().size() > kNameBytesMax) {
        return actors::InvalidField(
            "target_name", absl::StrCat("has ", request_.target_name().size(), " bytes; at most ", kNameBytesMax));
      }
      absl::Status status =
          FindObject(request_.object().namespace_(), request_.target_name(), object_.object_class, &object_);
      if (!status.ok()) return status;
    }
    wanted->bytes_max = static_cast<size_t>(endpoint_->object_file_bytes_max);
    if (endpoint_->admin->backups == nullptr) return NoBackups();
    if (endpoint_->store->DiskFull()) {
      return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_DISK_FULL,
                               "the disk of the server is full; nothing was done", absl::Seconds(1));
    }
    return absl::OkStatus();
  }

  // Returns the error of a read of the backups as clients have it.
  absl::Status Failure(const absl::Status& status) const {
    switch (status.code()) {
      case absl::StatusCode::kInvalidArgument:
        return actors::InvalidField("at", status.message());
      case absl::StatusCode::kNotFound:
        return actors::NotFound(status.message());
      case absl::StatusCode::kOutOfRange:
        return actors::QuotaExceeded(
            "turn_bytes_max", absl::StrCat("the object has over ", endpoint_->object_file_bytes_max,
                                           " bytes, which is the most that one restore takes; nothing was done"));
      case absl::StatusCode::kDataLoss:
        // Unlike the data directory, an operator may look into the directory of the backups.
        Log(LogLevel::kError, "object_not_restored", {{"status", status.ToString()}});
        return actors::Error(status.code(), v1::ERROR_REASON_DATA_CORRUPT,
                             "the backup, or the archive behind it, is damaged; the server's log says where");
      case absl::StatusCode::kInternal:
        return actors::FromStorage(status);
      default:
        return Refused(absl::StrCat("the backups could not be read: ", status.message()));
    }
  }
};

}  // namespace

void PostRestoreObject(const RawMethod* method, Endpoint* endpoint) { new RestoreObjectCall(method, endpoint); }

}  // namespace holdfast::service
