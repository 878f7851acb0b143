#include "storage/postgres/table_commit_logs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/base/log.h"

namespace holdfast::storage::postgres {
namespace {

const Statement kAppend = {"append", "INSERT INTO hf_log VALUES ($1::int8, $2::int8, $3::bytea)"};
const Statement kTrim = {"trim", "DELETE FROM hf_log WHERE writer = $1::int8 AND batch <= $2::int8"};
const Statement kRead = {"read_log",
                         "SELECT batch, bytes FROM hf_log WHERE writer = $1::int8 AND batch > $2::int8"
                         " ORDER BY batch LIMIT $3::int8"};

// A batch has at most so many bytes, so that a row of it can be read and written whole.
constexpr uint64_t kPayloadBytesMax = 256 << 20;
// Batches that are read in one trip. Few are large.
constexpr int64_t kReadBatches = 16;

class TableCommitLog final : public CommitLog {
 public:
  TableCommitLog(uint32_t log, BatchNumber last, Writer* writer, Reader* reader)
      : log_(log), last_(last), writer_(writer), reader_(reader) {}

  uint64_t payload_bytes_max() const override { return kPayloadBytesMax; }
  absl::Status Append(int64_t /*time_us*/, absl::string_view payload) override {
    absl::Status status = writer_->CommitStatements([&](Connection* connection) {
      connection->Add(kAppend, Params().Int8(log_).Int8(static_cast<int64_t>(last_ + 1)).Bytes(payload));
    });
    if (status.ok()) ++last_;
    return status;
  }
  void Pass() override { ++last_; }
  BatchNumber last() const override { return last_; }
  // A later trim does what this one can't.
  void Trim(BatchNumber folded) override {
    const auto result = reader_->Try([&](Connection* connection) {
      connection->Add(kTrim, Params().Int8(log_).Int8(static_cast<int64_t>(folded)));
    });
    if (!result.ok()) Log(LogLevel::kWarning, "log_not_trimmed", {{"status", result.status().ToString()}});
  }
  void Fail(const absl::Status& why) override { writer_->Fail(why); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const int64_t log_;
  BatchNumber last_;
  Writer* const writer_;
  Reader* const reader_;
};

}  // namespace

absl::StatusOr<std::vector<uint32_t>> TableCommitLogs::List() {
  std::vector<uint32_t> logs;
  if (!found_) return logs;
  logs.reserve(writers_.size());
  for (const Writer* writer : writers_) logs.push_back(static_cast<uint32_t>(writer->id()));
  return logs;
}

Writer* TableCommitLogs::Find(uint32_t log) const {
  for (Writer* writer : writers_) {
    if (writer->id() == int64_t{log}) return writer;
  }
  return nullptr;
}

absl::StatusOr<LogContents> TableCommitLogs::Read(uint32_t log, BatchNumber folded, ReplayBatch replay) {
  LogContents contents = {.last = folded, .closed = false, .segments = {}};
  while (true) {
    const auto result = reader_->Try([&](Connection* connection) {
      connection->Add(kRead, Params().Int8(log).Int8(static_cast<int64_t>(contents.last)).Int8(kReadBatches));
    });
    if (!result.ok()) return result.status();
    const Rows& rows = result->rows.back();
    for (int i = 0; i < rows.count(); ++i) {
      const auto batch = static_cast<BatchNumber>(rows.Int(i, 0));
      if (batch != contents.last + 1) {
        return absl::DataLossError(
            absl::StrCat(NameOf(log), ": batch ", contents.last + 1, " is missing, and batch ", batch, " is there"));
      }
      if (absl::Status status = replay(batch, 0, rows.Bytes(i, 1)); !status.ok()) return status;
      contents.last = batch;
    }
    if (rows.count() < kReadBatches) return contents;
  }
}

absl::StatusOr<std::unique_ptr<CommitLog>> TableCommitLogs::Open(uint32_t log, const LogContents& contents) {
  Writer* const writer = Find(log);
  HOLDFAST_CHECK(writer != nullptr, NameOf(log));
  return std::make_unique<TableCommitLog>(log, contents.last, writer, reader_);
}

absl::Status TableCommitLogs::Remove(uint32_t log) {
  const auto result =
      reader_->Try([&](Connection* connection) { connection->Add(kTrim, Params().Int8(log).Int8(INT64_MAX)); });
  return result.status();
}

std::string TableCommitLogs::NameOf(uint32_t log) const { return absl::StrCat("log ", log, " of hf_log"); }

}  // namespace holdfast::storage::postgres
