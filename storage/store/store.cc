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

void Store::Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) {
  struct Attempt {
    absl::Span<const KeyspaceWrites> writes;
    CommitDone done;
    absl::Status status;
    absl::Duration time;
  };
  auto attempt = std::make_shared<Attempt>();
  attempt->writes = writes;
  attempt->done = std::move(done);
  background->Run(
      [this, attempt] {
        const auto start = std::chrono::steady_clock::now();
        attempt->status = CommitSync(attempt->writes);
        attempt->time = absl::FromChrono(std::chrono::steady_clock::now() - start);
      },
      [attempt] { attempt->done(attempt->status, attempt->time); });
}

}  // namespace holdfast::storage
