#include "storage/log/log_reader.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/log/log_files.h"

namespace holdfast::storage {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  if (file) bytes << file.rdbuf();
  if (!file || file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return std::move(bytes).str();
}

absl::Status Damaged(absl::string_view path, absl::string_view how) {
  return absl::DataLossError(absl::StrCat(path, ": ", how));
}

}  // namespace

absl::Status LogReader::CheckHeader(const std::string& path, uint64_t segment, const LogSegmentHeader& header) {
  if (header.log != log_) return Damaged(path, absl::StrCat("is of log ", header.log));
  if (header.segment != segment) return Damaged(path, absl::StrCat("is segment ", header.segment));
  if (header.folded > held_) {
    held_ = header.folded;
    held_path_ = path;
  }
  return absl::OkStatus();
}

absl::Status LogReader::CheckEnd() const {
  if (held_ <= last()) return absl::OkStatus();
  return Damaged(held_path_, absl::StrCat("the store held batch ", held_, " and now holds none after ", folded_));
}

absl::Status LogReader::Add(const std::string& path, const LogRecord& record) {
  if (closed_ || record.batch != next_) {
    return Damaged(path,
                   absl::StrCat("batch ", next_, " is damaged or missing, and batch ", record.batch, " is behind it"));
  }
  // The other records of a batch that is torn may be whole.
  if (record.part != part_) return absl::OkStatus();
  if (record.end) {
    closed_ = true;
    return absl::OkStatus();
  }
  payload_.append(record.payload.data(), record.payload.size());
  ++part_;
  if (!record.last) return absl::OkStatus();
  const absl::Status status = replay_(record.batch, record.time_us, payload_);
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(path, ": batch ", record.batch, ": ", status.message()));
  }
  ++next_;
  part_ = 0;
  payload_.clear();
  return absl::OkStatus();
}

absl::Status LogReader::Read(const std::string& path, uint64_t segment, absl::string_view bytes) {
  const auto header = ParseLogSegmentHeader(bytes);
  // A segment without a header was being prepared: it has no records.
  if (!header) return absl::OkStatus();
  if (absl::Status status = CheckHeader(path, segment, *header); !status.ok()) return status;
  if (header->run != run_) {
    // The run before has ended, and this one went on behind its last whole batch.
    run_ = header->run;
    part_ = 0;
    payload_.clear();
    closed_ = false;
  }
  for (size_t at = kLogSegmentHeaderBytes; at < bytes.size();) {
    const auto record = ParseLogRecord(bytes.substr(at), run_, segment);
    if (!record) {
      at += kLogBlockBytes;
      continue;
    }
    if (record->batch > folded_) {
      if (absl::Status status = Add(path, *record); !status.ok()) return status;
    }
    at += InLogBlocks(kLogRecordHeaderBytes + record->payload.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<LogContents> ReadLog(const std::string& directory, uint32_t log, BatchNumber folded,
                                    ReplayBatch replay) {
  const auto segments = ListLogSegments(directory);
  if (!segments.ok()) return segments.status();
  LogReader reader(log, folded, std::move(replay));
  for (size_t i = 0; i < segments->size(); ++i) {
    const uint64_t segment = (*segments)[i];
    const std::string path = LogSegmentPath(directory, segment);
    if (i > 0 && segment != (*segments)[i - 1] + 1) {
      return Damaged(LogSegmentPath(directory, segment - 1), "is missing");
    }
    const absl::StatusOr<std::string> bytes = ReadFile(path);
    if (!bytes.ok()) return bytes.status();
    // The file of a folded segment was renamed to be used again, and a crash came before its new header.
    const auto header = ParseLogSegmentHeader(*bytes);
    if (header && header->log == log && header->segment < segments->front()) continue;
    if (absl::Status status = reader.Read(path, segment, *bytes); !status.ok()) return status;
  }
  if (absl::Status status = reader.CheckEnd(); !status.ok()) return status;
  return LogContents{.last = reader.last(), .closed = reader.closed(), .segments = *segments};
}

}  // namespace holdfast::storage
