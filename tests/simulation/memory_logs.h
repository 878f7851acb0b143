// Commit logs in memory, which live as long as their state does: a test keeps one across the lives of a store, to play
// crashes and restarts.

#ifndef HOLDFAST_TESTS_SIMULATION_MEMORY_LOGS_H_
#define HOLDFAST_TESTS_SIMULATION_MEMORY_LOGS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/log/commit_logs.h"

namespace holdfast::simulation {

// Any thread.
struct LogState {
  struct Log {
    std::map<storage::BatchNumber, std::string> batches;
    bool closed = false;
  };

  std::mutex mutex;
  std::map<uint32_t, Log> logs;
  uint64_t payload_bytes_max = uint64_t{1} << 30;
  // Appends end with this error from now on, and keep nothing; or with `keep` they keep the batch all the same.
  absl::Status append_error;
  bool keep = false;
};

class MemoryLog : public storage::CommitLog {
 public:
  MemoryLog(std::shared_ptr<LogState> state, uint32_t log, storage::BatchNumber last)
      : state_(std::move(state)), log_(log), last_(last) {}

  uint64_t payload_bytes_max() const override { return state_->payload_bytes_max; }
  absl::Status Append(int64_t, absl::string_view payload) override {
    std::lock_guard lock(state_->mutex);
    if (state_->append_error.ok() || state_->keep) state_->logs[log_].batches[last_ + 1] = std::string(payload);
    if (!state_->append_error.ok()) return state_->append_error;
    ++last_;
    return absl::OkStatus();
  }
  void Pass() override { ++last_; }
  storage::BatchNumber last() const override { return last_; }
  void Trim(storage::BatchNumber folded) override {
    std::lock_guard lock(state_->mutex);
    auto& batches = state_->logs[log_].batches;
    batches.erase(batches.begin(), batches.upper_bound(folded));
  }
  void Fail(const absl::Status&) override {}
  absl::Status Close() override {
    std::lock_guard lock(state_->mutex);
    state_->logs[log_].closed = true;
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<LogState> state_;
  const uint32_t log_;
  storage::BatchNumber last_;
};

class MemoryLogs : public storage::CommitLogs {
 public:
  explicit MemoryLogs(std::shared_ptr<LogState> state = std::make_shared<LogState>()) : state_(std::move(state)) {}

  absl::StatusOr<std::vector<uint32_t>> List() override {
    std::lock_guard lock(state_->mutex);
    std::vector<uint32_t> numbers;
    for (const auto& [number, log] : state_->logs) numbers.push_back(number);
    return numbers;
  }
  absl::StatusOr<storage::LogContents> Read(uint32_t number, storage::BatchNumber folded,
                                            storage::ReplayBatch replay) override {
    storage::LogContents contents = {.last = folded, .closed = false, .segments = {}};
    const auto log = state_->logs.find(number);
    if (log == state_->logs.end()) return contents;
    contents.closed = log->second.closed;
    for (const auto& [batch, payload] : log->second.batches) {
      if (batch <= folded) continue;
      if (batch != contents.last + 1) return absl::DataLossError(absl::StrCat(NameOf(number), ": a batch is missing"));
      if (absl::Status status = replay(batch, 0, payload); !status.ok()) return status;
      contents.last = batch;
    }
    return contents;
  }
  absl::StatusOr<std::unique_ptr<storage::CommitLog>> Open(uint32_t number,
                                                           const storage::LogContents& contents) override {
    std::lock_guard lock(state_->mutex);
    state_->logs[number].closed = false;
    return std::make_unique<MemoryLog>(state_, number, contents.last);
  }
  absl::Status Remove(uint32_t number) override {
    std::lock_guard lock(state_->mutex);
    state_->logs.erase(number);
    return absl::OkStatus();
  }
  std::string NameOf(uint32_t number) const override { return absl::StrCat("log ", number); }

 private:
  const std::shared_ptr<LogState> state_;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_MEMORY_LOGS_H_
