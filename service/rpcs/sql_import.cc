#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "actors/wire/sql_wire.h"
#include "holdfast/v1/object_service.pb.h"
#include "service/call/canonical_hash.h"
#include "service/call/import_places.h"
#include "service/call/small_request.h"
#include "service/rpcs/file_calls.h"
#include "service/rpcs/sql_files.h"
#include "storage/sql/import_file.h"

namespace holdfast::service {
namespace {

using storage::sql::kPageBytes;

// The most pages that one turn of the object stores.
constexpr uint32_t kPagesAtOnce = 256;

class SqlImport final : public FileImport<v1::ImportSqlHeader, v1::ImportSqlResponse> {
 public:
  SqlImport(const RawMethod* method, Endpoint* endpoint)
      : RecordedCall(method, endpoint), place_(endpoint->imports), file_(endpoint->sql->temp_space) {
    method->ReceiveRequestStream(&context_, &stream_, endpoint->executor->queue(), Tag());
    XXH3_128bits_reset(hash_.get());
  }

 private:
  void PostNext() override { PostSqlImport(method_, endpoint_); }
  std::string Hash() const override { return CanonicalBytes(XXH3_128bits_digest(hash_.get())); }

  actors::Task<absl::Status> Serve() override {
    if (absl::Status status = co_await Receive(); !status.ok() || peer_) co_return status;
    if (absl::Status status = co_await Check(); !status.ok()) co_return status;

    storage::sql::ImportId id;
    co_await Turn([&id](actors::PlainObject& object) { return object.BeginImport(&id); });
    if (!outcome().ok()) co_return outcome();
    absl::Status status = co_await Put(id);
    // This drops an import that has not ended: one that failed, or one whose reply was that of an earlier import with
    // the same request_id.
    co_await Turn([id](actors::PlainObject& object) { return object.AbortImport(id); });
    co_return status;
  }

  // Returns the namespace of the object, or the default if it is left out.
  absl::string_view Namespace() const { return NamespaceOrDefault(request_.object().namespace_()); }

  using Statement = storage::sql::Workers::Statement;

  // Runs `work` on a thread for imports. Namespaces take turns there, then the imports of one namespace.
  actors::Task<absl::Status> InTurns(absl::AnyInvocable<absl::Status(Statement&)> work) {
    const auto admitted = endpoint_->import_workers->Admit(Namespace());
    if (admitted.statement == nullptr) co_return CallGate::Draining();
    storage::sql::StatementBackground background(endpoint_->import_workers, admitted.statement);
    absl::Status status;
    co_await Work(&background, [&] { status = work(*admitted.statement); });
    co_return status;
  }

  // Receives the header and the file, or passes all on to the node of the object.
  actors::Task<absl::Status> Receive() {
    bool first = true;
    while (co_await Grpc([this](void* tag) { stream_.Read(&bytes_, tag); })) {
      if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
      CountReceived(bytes_.Length());
      if (absl::Status status = lease_.ReserveReply(bytes_.Length()); !status.ok()) co_return status;
      absl::Status parsed;
      if (first || bytes_.Length() <= RequestParser::kSmallBytes) {
        parsed = ParseSmall(&bytes_, &part_);
      } else {
        parsed = co_await InTurns([this](Statement&) {
          return grpc::SerializationTraits<v1::ImportSqlRequest>::Deserialize(&bytes_, &part_).ok()
                     ? absl::OkStatus()
                     : NotA<v1::ImportSqlRequest>();
        });
      }
      if (!parsed.ok()) co_return parsed;
      if (first != part_.has_header()) {
        co_return actors::InvalidField("part", first ? "the first must be the header" : "the header comes once");
      }
      if (first) {
        first = false;
        request_ = part_.header();
        absl::Status status = Admit(request_);
        if (status.ok() && IsElsewhere()) co_return co_await PassOn(part_);
        if (status.ok()) status = place_.Take(Namespace());
        if (!status.ok()) co_return status;
        const std::string object = request_.object().SerializeAsString();
        XXH3_128bits_update(hash_.get(), object.data(), object.size());
        continue;
      }
      const std::string& chunk = part_.chunk();
      if (file_.bytes() + chunk.size() > static_cast<uint64_t>(endpoint_->object_bytes_max)) {
        co_return actors::QuotaExceeded(
            "object_bytes_max",
            absl::StrCat("the file has over ", endpoint_->object_bytes_max, " bytes; nothing was done"));
      }
      if (endpoint_->store->DiskFull()) {
        co_return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_DISK_FULL,
                                    "the disk of the server is full; nothing was done", absl::Seconds(1));
      }
      const absl::Status status = co_await InTurns([&](Statement&) {
        XXH3_128bits_update(hash_.get(), chunk.data(), chunk.size());
        return file_.Append(chunk);
      });
      if (storage::sql::FailureOf(status).kind == storage::sql::FailureKind::kTempFull) {
        co_return actors::QuotaExceeded("sql.temp_bytes_of_all_max",
                                        absl::StrCat(status.message(), "; nothing was done"));
      }
      if (!status.ok()) co_return actors::FromStorage(actors::SqlFailed(status, ""));
    }
    if (first) co_return actors::InvalidField("header", "is missing");
    co_return CheckGoesOn();
  }

  actors::Task<absl::Status> Check() {
    const absl::Status status = co_await InTurns([this](Statement& statement) {
      storage::sql::Limits limits = endpoint_->sql->limits;
      limits.time_max = endpoint_->transfer_time_max;
      return actors::SqlFailed(
          file_.Check({.limits = limits,
                       .now = endpoint_->sql->now,
                       .steady = endpoint_->sql->steady,
                       .stop = [&] { return stopped() || statement.end() != storage::sql::Workers::End::kNo; },
                       .yield = [&] { return statement.Yield(); },
                       .heap_total = endpoint_->sql->heap_total}),
          "");
    });
    if (absl::Status ended = CheckGoesOn(); !ended.ok()) co_return ended;
    co_return actors::FromStorage(status);
  }

  actors::Task<absl::Status> Put(storage::sql::ImportId id) {
    const uint32_t count = *file_.PageCount();
    for (uint32_t done = 0; done < count;) {
      if (absl::Status status = CheckGoesOn(); !status.ok()) co_return status;
      const uint32_t part = std::min(kPagesAtOnce, count - done);
      std::string pages(part * kPageBytes, '\0');
      absl::Status status;
      co_await Work(endpoint_->reads, [&] {
        for (uint32_t i = 0; i < part && status.ok(); ++i) {
          status = file_.ReadPage(done + i + 1, pages.data() + i * kPageBytes);
        }
      });
      if (!status.ok()) co_return actors::FromStorage(status);
      co_await Turn([&](actors::PlainObject& object) { return object.ImportPages(id, done + 1, std::move(pages)); });
      if (!outcome().ok()) co_return outcome();
      done += part;
    }
    co_await Turn(
        [&](actors::PlainObject& object) {
          response_.set_bytes(static_cast<int64_t>(file_.bytes()));
          return object.EndImport(id, count);
        },
        recorded());
    co_return outcome();
  }

  v1::ImportSqlRequest part_;
  ImportPlaces::Place place_;
  storage::sql::ImportFile file_;
  struct FreeHash {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, FreeHash> hash_{XXH3_createState()};
};

}  // namespace

void PostSqlImport(const RawMethod* method, Endpoint* endpoint) { new SqlImport(method, endpoint); }

}  // namespace holdfast::service
