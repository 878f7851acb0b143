#include "storage/fold/logged_lane.h"

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
  if (payload_.size() > log_->payload_bytes_max()) {
    const LargeBatch large{number_, log_->last() + 1, writes};
    if (absl::Status status = whole_->FoldWith(&large); !status.ok()) return status;
    log_->Pass();
    payload_ = std::string();
    return Appended{large.number, true};
  }
  const absl::Status status = log_->Append(absl::ToUnixMicros(whole_->options_.now()), payload_);
  if (!status.ok()) {
    // Nobody can tell what is in the log: nothing more is written, not even the mark of an orderly end.
    whole_->Stop(status);
    return status;
  }
  whole_->CountLogged(InLogBlocks(kLogRecordHeaderBytes + payload_.size()));
  return Appended{log_->last(), false};
}

void LoggedStore::Lane::Add(const Appended& batch, absl::Span<const KeyspaceWrites> writes) {
  whole_->unfolded_.Add(number_, batch.number, batch.folded ? absl::Span<const KeyspaceWrites>() : writes);
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
  struct Attempt {
    absl::Span<const KeyspaceWrites> writes;
    CommitDone done;
    absl::StatusOr<Appended> batch;
    absl::Duration time;
  };
  auto attempt = std::make_shared<Attempt>();
  attempt->writes = writes;
  attempt->done = std::move(done);
  background->Run(
      [this, attempt] {
        const auto start = std::chrono::steady_clock::now();
        {
          MutexLock lock(&mutex_);
          attempt->batch = Append(attempt->writes);
        }
        attempt->time = absl::FromChrono(std::chrono::steady_clock::now() - start);
      },
      [this, attempt] {
        if (attempt->batch.ok()) Add(*attempt->batch, attempt->writes);
        attempt->done(attempt->batch.status(), attempt->time);
      });
}

}  // namespace holdfast::storage
