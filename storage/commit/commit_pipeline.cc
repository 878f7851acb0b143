#include "storage/commit/commit_pipeline.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace holdfast::storage {

CommitPipeline::CommitPipeline(Store* store, Background* committer,
                               absl::AnyInvocable<void(const absl::Status&)> on_failure,
                               absl::Duration inline_commit_max, Observer* observer)
    : store_(store),
      committer_(committer),
      on_failure_(std::move(on_failure)),
      filling_(std::make_unique<Batch>(1)),
      inline_commit_max_(inline_commit_max),
      observer_(observer) {}

void CommitPipeline::Join(Keyspace* keyspace, WriteSet* writes) {
  if (writes->empty()) return;
  Batch& batch = *filling_;
  if (keyspace->pending().filling == nullptr) {
    batch.parts.push_back({keyspace, {}});
    keyspace->pending().filling = &batch.parts.back().writes;
  }
  const size_t before = keyspace->pending().filling->bytes();
  keyspace->pending().filling->Merge(std::move(*writes));
  batch.bytes += keyspace->pending().filling->bytes() - before;
  writes->Clear();
}

void CommitPipeline::WhenDurable(BatchNumber batch, Waiter* waiter) {
  WhenDurable(batch, [waiter](const absl::Status& status) { waiter->OnDurable(status); });
}

void CommitPipeline::WhenDurable(BatchNumber batch, absl::AnyInvocable<void(const absl::Status&)> function) {
  if (failed()) {
    function(failure_);
  } else if (in_flight_ != nullptr && batch <= in_flight_->number) {
    in_flight_->waiting.push_back(std::move(function));
  } else {
    filling_->waiting.push_back(std::move(function));
  }
}

void CommitPipeline::Submit() {
  if (in_flight_ != nullptr || failed() || filling_->parts.empty()) return;
  CommitsInline() ? CommitInline() : CommitInBackground();
}

bool CommitPipeline::CommitsInline() const {
  return inline_commit_max_ > absl::ZeroDuration() && filling_->waiting.size() == 1 &&
         recent_commit_time_ <= inline_commit_max_;
}

void CommitPipeline::Take() {
  in_flight_ = std::move(filling_);
  in_flight_bytes_ = in_flight_->bytes;
  filling_ = std::make_unique<Batch>(in_flight_->number + 1);
  in_flight_->writes.reserve(in_flight_->parts.size());
  for (Part& part : in_flight_->parts) {
    part.keyspace->pending().filling = nullptr;
    part.keyspace->pending().in_flight = &part.writes;
    in_flight_->writes.push_back({&part.keyspace->location(), &part.writes});
  }
}

void CommitPipeline::CommitInline() {
  Take();
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = store_->CommitSync(in_flight_->writes);
  OnCommitted(status, absl::FromChrono(std::chrono::steady_clock::now() - start));
}

void CommitPipeline::CommitInBackground() {
  Take();
  store_->Commit(in_flight_->writes, committer_,
                 [this](const absl::Status& status, absl::Duration time) { OnCommitted(status, time); });
}

void CommitPipeline::OnCommitted(const absl::Status& status, absl::Duration time) {
  // Rises at once with a slow commit, then decays.
  recent_commit_time_ =
      recent_commit_time_ == absl::InfiniteDuration() ? time : std::max(time, (recent_commit_time_ * 7 + time) / 8);
  std::unique_ptr<Batch> batch = std::move(in_flight_);
  if (observer_ != nullptr) {
    observer_->CommitEnded({batch->bytes, batch->parts.size(), time, status.ok()});
  }
  in_flight_bytes_ = 0;
  for (Part& part : batch->parts) part.keyspace->pending().in_flight = nullptr;
  if (!status.ok()) {
    failure_ = status;
    Tell(batch.get(), failure_);
    Tell(filling_.get(), failure_);
    on_failure_(failure_);
    return;
  }
  durable_ = batch->number;
  // The next commit begins first, so that the disk does not wait while the replies are sent.
  if (!filling_->parts.empty()) CommitInBackground();
  Tell(batch.get(), status);
}

void CommitPipeline::Tell(Batch* batch, const absl::Status& status) {
  for (auto& function : std::exchange(batch->waiting, {})) function(status);
}

}  // namespace holdfast::storage
