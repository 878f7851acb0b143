#include "storage/backup/segment_follower.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/log/log_format.h"

namespace holdfast::storage {

absl::Status SegmentFollower::OpenSegment(uint64_t segment, uint64_t offset) {
  absl::StatusOr<LogFile> file = OpenToRead(LogSegmentPath(directory_, segment));
  if (!file.ok()) return file.status();
  const absl::StatusOr<uint64_t> size = file->Size();
  if (!size.ok()) return size.status();
  file_ = *std::move(file);
  size_ = *size;
  segment_ = segment;
  offset_ = offset;
  return absl::OkStatus();
}

absl::Status SegmentFollower::FindFirst() {
  const auto segments = ListLogSegments(directory_);
  if (!segments.ok()) return segments.status();
  // The newest segments are those of this run.
  uint64_t first = 0;
  for (auto segment = segments->rbegin(); segment != segments->rend(); ++segment) {
    const absl::StatusOr<LogFile> file = OpenToRead(LogSegmentPath(directory_, *segment));
    if (!file.ok()) return file.status();
    if (absl::Status status = file->Read(0, kLogSegmentHeaderBytes, &bytes_); !status.ok()) return status;
    const auto header = ParseLogSegmentHeader(bytes_);
    if (!header || header->segment != *segment) continue;  // it is being prepared
    if (header->run != run_) break;
    first = *segment;
  }
  if (first == 0) return absl::UnavailableError(absl::StrCat(directory_, ": has no segment of this run"));
  if (absl::Status status = OpenSegment(first, kLogSegmentHeaderBytes); !status.ok()) return status;
  Keep();
  return absl::OkStatus();
}

void SegmentFollower::GoBack() {
  if (kept_.segment == 0) return;
  // The segment is there, since its batches are not archived. Where it can't be opened, the next Read says so.
  if (kept_.segment != segment_) {
    segment_ = kept_.segment;
    file_ = LogFile();
  }
  offset_ = kept_.offset;
  last_ = kept_.last;
}

absl::Status SegmentFollower::Read(BatchNumber durable, Each each) {
  if (last_ >= durable) return absl::OkStatus();
  if (segment_ == 0) {
    if (absl::Status status = FindFirst(); !status.ok()) return status;
  }
  if (!file_.open()) {
    if (absl::Status status = OpenSegment(segment_, offset_); !status.ok()) return status;
  }
  payload_.clear();
  while (last_ < durable) {
    // Most records are of one block, which is read at once.
    if (absl::Status status = file_.Read(offset_, std::min<uint64_t>(kLogBlockBytes, size_ - offset_), &bytes_);
        !status.ok()) {
      return status;
    }
    uint64_t bytes = 0;
    if (bytes_.size() == kLogBlockBytes) {
      uint32_t payload;
      std::memcpy(&payload, bytes_.data() + sizeof(uint64_t), sizeof(payload));
      bytes = kLogRecordHeaderBytes + uint64_t{payload};
    }
    if (bytes > kLogBlockBytes && bytes <= size_ - offset_) {
      if (absl::Status status = file_.Read(offset_, bytes, &bytes_); !status.ok()) return status;
    }
    const auto record = ParseLogRecord(bytes_, run_, segment_);
    // A durable batch that is not here is in the next segment.
    if (!record) {
      if (absl::Status status = OpenSegment(segment_ + 1, kLogSegmentHeaderBytes); !status.ok()) return status;
      continue;
    }
    const bool skipped = record->batch > last_ + 1;
    if (skipped) {
      const BatchNumber missing = last_ + 1;
      last_ = record->batch - 1;
      return absl::NotFoundError(absl::StrCat("batch ", missing, " of ", directory_, " was too large for the log"));
    }
    offset_ += InLogBlocks(kLogRecordHeaderBytes + record->payload.size());
    payload_.append(record->payload.data(), record->payload.size());
    if (!record->last) continue;
    ++last_;
    if (absl::Status status = each(record->batch, record->time_us, payload_); !status.ok()) return status;
    payload_.clear();
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage
