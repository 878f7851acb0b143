#include "storage/fold/logged_lane.h"

#include <algorithm>
#include <chrono>

#include "storage/fold/batch_codec.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {

absl::StatusOr<LoggedStore::Lane::Appended> LoggedStore::Lane::Append(absl::Span<const KeyspaceWrites> writes) {
  if (absl::Status status = whole_->WaitForRoom(); !status.ok()) return status;
  for (const KeyspaceWrites& part : writes) {
    if (!whole_->IsOpen(part.location->family)) return absl::InternalError("a commit names a dropped family");
  }
  payload_.clear();
  EncodeBatch(
      writes, [this](FamilyId family) { return whole_->NameOf(family); }, &payload_);
  const bool large = payload_.size() > log_->payload_bytes_max();
  if (large) {
    const LargeBatch batch{number_, log_->last() + 1, writes};
    if (absl::Status status = whole_->FoldWith(&batch); !status.ok()) return status;
    log_->Pass();
    whole_->unfolded_.Add(number_, batch.number, {});
    // An empty batch follows, so that a store that has lost the large one is noticed.
    payload_ = std::string();
  }
  time_us_ = std::max(time_us_, absl::ToUnixMicros(whole_->options_.now()));
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = log_->Append(time_us_, payload_);
  if (Observer* const observer = whole_->options_.observer) {
    observer->LogAppended({payload_.size(), absl::FromChrono(std::chrono::steady_clock::now() - start), status.ok()});
  }
  if (!status.ok()) {
    // Nobody can tell what is in the log: nothing more is written, not even the mark of an orderly end.
    whole_->Stop(status);
    return status;
  }
  return Appended{log_->last(), InLogBlocks(kLogRecordHeaderBytes + payload_.size()), large};
}

void LoggedStore::Lane::Add(const Appended& batch, absl::Span<const KeyspaceWrites> writes) {
  whole_->unfolded_.Add(number_, batch.number, batch.folded ? absl::Span<const KeyspaceWrites>() : writes);
  whole_->logged_bytes_.fetch_add(batch.logged_bytes, std::memory_order_relaxed);
  if (whole_->IsEnoughToFold()) whole_->FoldSoon();
}

absl::Status LoggedStore::Lane::CommitSync(absl::Span<const KeyspaceWrites> writes) {
  MutexLock lock(&mutex_);
  const absl::StatusOr<Appended> batch = Append(writes);
  if (!batch.ok()) return batch.status();
  std::vector<WriteSet> copies;
  std::vector<KeyspaceWrites> parts;
  copies.reserve(writes.size());
  for (const KeyspaceWrites& part : writes) parts.push_back({part.location, &copies.emplace_back(*part.writes)});
  Add(*batch, parts);
  return absl::OkStatus();
}

void LoggedStore::Lane::Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) {
  auto batch = std::make_shared<absl::StatusOr<Appended>>();
  CommitOn(
      background,
      [this, writes, batch] {
        MutexLock lock(&mutex_);
        *batch = Append(writes);
        return batch->status();
      },
      [this, writes, batch, done = std::move(done)](const absl::Status& status, absl::Duration time) mutable {
        if (status.ok()) Add(**batch, writes);
        done(status, time);
      });
}

}  // namespace holdfast::storage
