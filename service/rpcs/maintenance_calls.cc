// CompactStore and Scrub: long work over the whole store, as streams of how far it is. The work ends when the call
// does.

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/executor/clock.h"
#include "actors/wire/errors.h"
#include "actors/wire/utf8.h"
#include "service/call/admin_services.h"
#include "service/call/reply_wire.h"
#include "service/call/small_request.h"
#include "service/call/watch_call.h"
#include "service/rpcs/admin_calls.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

constexpr absl::Duration kTellEvery = absl::Seconds(1);
constexpr int64_t kScrubRateDefault = 16 << 20;
constexpr int64_t kScrubRateMax = 1 << 30;
constexpr size_t kDamagedMax = 100;

// `Job` says what the work is: it has Request and Response, a name for the log, and
//   static absl::Status Check(const Request& request);
//   static absl::Status Run(storage::Store* store, const Request& request, absl::FunctionRef<bool(const Response&)>
//   tell,
//                           Response* last);
template <typename Job>
class MaintenanceCall final : public WatchCall {
 public:
  using Request = typename Job::Request;
  using Response = typename Job::Response;

  MaintenanceCall(const RawMethod* method, Endpoint* endpoint) : WatchCall(method, endpoint) {}

 private:
  // The state that the thread of the work and the call share. The call may be gone before the work has ended.
  struct Shared {
    std::atomic<bool> stopped = false;
    MaintenanceCall* call;  // used on the executor only; null once the call is gone
    // The outcome of the work; set by its thread before Ended is posted.
    absl::Status status;
    Response last;
  };

  void PostNext() override { new MaintenanceCall(method_, endpoint_); }

  absl::Status Begin() override {
    Request request;
    if (absl::Status status = ParseSmall(&bytes_, &request); !status.ok()) return status;
    if (absl::Status status = AdmitTarget(Target::Server()); !status.ok()) return status;
    if (absl::Status status = Job::Check(request); !status.ok()) return status;
    shared_ = std::make_shared<Shared>();
    shared_->call = this;
    const bool begun = endpoint_->admin->maintenance->Begin(
        [shared = shared_, executor = endpoint_->executor, store = endpoint_->store,
         request = std::move(request)](const std::atomic<bool>& stopping) {
          Log(LogLevel::kInfo, Job::kBegun);
          absl::Time tell_at = absl::InfinitePast();
          shared->status = Job::Run(
              store, request,
              [&](const Response& response) {
                if (const absl::Time now = actors::SteadyNow(); now >= tell_at) {
                  tell_at = now + kTellEvery;
                  executor->Post([shared, response] { Told(*shared, response); });
                }
                return !shared->stopped && !stopping;
              },
              &shared->last);
          Log(LogLevel::kInfo, Job::kEnded, {{"status", shared->status.ToString()}});
        },
        [shared = shared_, executor = endpoint_->executor] { executor->Post([shared] { Ended(*shared); }); });
    if (begun) return absl::OkStatus();
    return actors::Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_PRECONDITION_FAILED,
                         "another CompactStore, Scrub or RestoreObject is under way; nothing was done");
  }

  static void Told(const Shared& shared, const Response& response) {
    if (shared.call == nullptr || shared.call->ended()) return;
    shared.call->next_ = response;
    shared.call->Go();
  }
  static void Ended(const Shared& shared) {
    if (shared.call == nullptr || shared.call->ended()) return;
    if (shared.status.ok()) shared.call->next_ = shared.last;
    shared.call->End(actors::FromStorage(shared.status));
    shared.call->Go();
  }

  bool TakeReply(grpc::ByteBuffer* reply) override {
    if (!next_) return false;
    *reply = ToWire(*std::exchange(next_, std::nullopt));
    return true;
  }
  void DropReplies() override { next_.reset(); }
  void OnEnd() override {
    if (shared_ != nullptr) shared_->stopped = true;
  }
  void Delete() override {
    if (shared_ != nullptr) shared_->call = nullptr;
    delete this;
  }

  std::shared_ptr<Shared> shared_;
  // The newest reply that is not sent. A client that reads slowly misses those between.
  std::optional<Response> next_;
};

struct Compaction {
  using Request = v1::CompactStoreRequest;
  using Response = v1::CompactStoreResponse;
  static constexpr absl::string_view kBegun = "compaction_begun";
  static constexpr absl::string_view kEnded = "compaction_ended";

  static absl::Status Check(const Request&) { return absl::OkStatus(); }
  static absl::Status Run(storage::Store* store, const Request&, absl::FunctionRef<bool(const Response&)> tell,
                          Response* last) {
    const absl::Status status = store->CompactTables([&](const storage::TableProgress& progress) {
      last->set_families_done(static_cast<int64_t>(progress.done));
      last->set_families(static_cast<int64_t>(progress.total));
      return tell(*last);
    });
    last->set_done(true);
    return status;
  }
};

struct Scrubbing {
  using Request = v1::ScrubRequest;
  using Response = v1::ScrubResponse;
  static constexpr absl::string_view kBegun = "scrub_begun";
  static constexpr absl::string_view kEnded = "scrub_ended";

  static absl::Status Check(const Request& request) {
    if (request.bytes_per_second() >= 0 && request.bytes_per_second() <= kScrubRateMax) return absl::OkStatus();
    return actors::InvalidField("bytes_per_second", absl::StrCat("must be 0 to ", kScrubRateMax));
  }
  static absl::Status Run(storage::Store* store, const Request& request, absl::FunctionRef<bool(const Response&)> tell,
                          Response* last) {
    const int64_t rate = request.bytes_per_second() == 0 ? kScrubRateDefault : request.bytes_per_second();
    std::vector<storage::DamagedTable> damaged;
    const absl::Status status = store->CheckTables(
        static_cast<uint64_t>(rate),
        [&](const storage::TableProgress& progress) {
          last->set_bytes_done(static_cast<int64_t>(progress.done));
          last->set_bytes(static_cast<int64_t>(progress.total));
          last->set_damaged_count(static_cast<int64_t>(damaged.size()));
          return tell(*last);
        },
        &damaged);
    last->set_done(true);
    last->set_damaged_count(static_cast<int64_t>(damaged.size()));
    for (const storage::DamagedTable& table : damaged) {
      Log(LogLevel::kError, "table_damaged",
          {{"table", table.table}, {"family", table.family}, {"status", table.damage.ToString()}});
      if (last->damaged_tables_size() >= static_cast<int>(kDamagedMax)) continue;
      v1::DamagedTable* const found = last->add_damaged_tables();
      found->set_table(table.table);
      found->set_family(table.family);
      found->set_message(actors::ValidUtf8(table.damage.message()));
    }
    return status;
  }
};

}  // namespace

void PostCompactStore(const RawMethod* method, Endpoint* endpoint) {
  new MaintenanceCall<Compaction>(method, endpoint);
}
void PostScrub(const RawMethod* method, Endpoint* endpoint) { new MaintenanceCall<Scrubbing>(method, endpoint); }

}  // namespace holdfast::service
