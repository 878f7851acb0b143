#include "storage/store/store.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/cord.h"

namespace holdfast::storage {
namespace {

constexpr absl::string_view kNotOwnerUrl = "holdfast/not-owner";

}  // namespace

absl::Status NotOwner(absl::string_view why) {
  absl::Status status = absl::UnavailableError(why);
  status.SetPayload(kNotOwnerUrl, absl::Cord());
  return status;
}

bool IsNotOwner(const absl::Status& status) { return status.GetPayload(kNotOwnerUrl).has_value(); }

void Store::CommitOn(Background* background, absl::AnyInvocable<absl::Status()> commit, CommitDone done) {
  struct Attempt {
    absl::AnyInvocable<absl::Status()> commit;
    CommitDone done;
    absl::Status status;
    absl::Duration time;
  };
  auto attempt = std::make_shared<Attempt>();
  attempt->commit = std::move(commit);
  attempt->done = std::move(done);
  background->Run(
      [attempt] {
        const auto start = std::chrono::steady_clock::now();
        attempt->status = attempt->commit();
        attempt->time = absl::FromChrono(std::chrono::steady_clock::now() - start);
      },
      [attempt] { attempt->done(attempt->status, attempt->time); });
}

void Store::Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) {
  CommitOn(
      background, [this, writes] { return CommitSync(writes); }, std::move(done));
}

}  // namespace holdfast::storage
