// Commit logs whose bytes were changed: a reader finds the batches that were written, in order and without a gap, or
// says that the log is damaged. It never finds a batch that nobody wrote.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/log/log_format.h"
#include "storage/log/log_reader.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

using storage::BatchNumber;

constexpr uint32_t kLog = 3;
constexpr size_t kBatchesMax = 12;
constexpr int kChangesMax = 16;

std::string PayloadOf(BatchNumber batch, size_t bytes) { return absl::StrCat(batch, ":", std::string(bytes, 'p')); }

struct Segments {
  std::vector<std::string> bytes;
  std::vector<std::string> payloads;  // of the batches from 1 on
};

// Writes a log of some segments, in which batches may have several parts.
Segments Write(Input* input) {
  Segments log;
  uint64_t run = 7;
  const auto begin_segment = [&] {
    log.bytes.push_back(
        storage::EncodeLogSegmentHeader({.log = kLog, .run = run, .segment = log.bytes.size() + 1, .folded = 0}));
  };
  begin_segment();
  for (size_t i = input->Below(kBatchesMax); i > 0; --i) {
    const BatchNumber batch = log.payloads.size() + 1;
    const uint8_t how = input->Byte();
    if (how % 8 == 0) ++run;
    if (how % 8 < 2) begin_segment();
    std::string payload = PayloadOf(batch, input->Below(6000));
    const size_t split = how % 16 == 9 ? payload.size() / 2 : payload.size();
    storage::LogRecord record{.run = run, .segment = log.bytes.size(), .batch = batch};
    record.payload = absl::string_view(payload).substr(0, split);
    record.last = split == payload.size();
    storage::AppendLogRecord(record, &log.bytes.back());
    if (!record.last) {
      begin_segment();
      record.segment = log.bytes.size();
      record.part = 1;
      record.last = true;
      record.payload = absl::string_view(payload).substr(split);
      storage::AppendLogRecord(record, &log.bytes.back());
    }
    log.payloads.push_back(std::move(payload));
  }
  if (input->Byte() % 4 == 0) {
    storage::AppendLogRecord({.run = run, .segment = log.bytes.size(), .batch = log.payloads.size() + 1, .end = true},
                             &log.bytes.back());
  }
  return log;
}

void Damage(Input* input, std::vector<std::string>* segments) {
  for (int i = 0; i < kChangesMax && !input->empty(); ++i) {
    std::string& bytes = (*segments)[input->Below(segments->size())];
    if (bytes.empty()) continue;
    // Headers of blocks matter most.
    size_t at = input->Below(bytes.size());
    if (input->Byte() % 2 == 0)
      at = std::min(at / storage::kLogBlockBytes * storage::kLogBlockBytes + at % 64, bytes.size() - 1);
    switch (input->Byte() % 4) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.replace(at, std::min<size_t>(storage::kLogBlockBytes, bytes.size() - at), storage::kLogBlockBytes, '\0');
        break;
      case 2: {
        // A block of another segment, or an older one of this.
        const std::string& other = (*segments)[input->Below(segments->size())];
        const std::string block =
            other.substr(std::min(other.size(), input->Below(16) * storage::kLogBlockBytes), storage::kLogBlockBytes);
        bytes.replace(at / storage::kLogBlockBytes * storage::kLogBlockBytes, block.size(), block);
        break;
      }
      default:
        bytes[at] = static_cast<char>(input->Byte());
    }
  }
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using holdfast::storage::BatchNumber;
  holdfast::fuzz::Input input(data, bytes);
  if (input.Byte() % 4 == 0) {
    // Bytes of no log at all.
    holdfast::storage::LogReader reader(holdfast::fuzz::kLog, 0, [](auto...) { return absl::OkStatus(); });
    (void)reader.Read("any", 1, input.rest());
    return 0;
  }
  auto log = holdfast::fuzz::Write(&input);
  const bool whole = input.empty();
  holdfast::fuzz::Damage(&input, &log.bytes);
  BatchNumber last = 0;
  holdfast::storage::LogReader reader(holdfast::fuzz::kLog, 0,
                                      [&](BatchNumber batch, int64_t, absl::string_view payload) {
                                        HOLDFAST_CHECK(batch == ++last, "a batch is out of its order");
                                        HOLDFAST_CHECK(batch <= log.payloads.size(), "a batch that nobody wrote");
                                        HOLDFAST_CHECK(payload == log.payloads[batch - 1], "another payload");
                                        return absl::OkStatus();
                                      });
  absl::Status status;
  for (size_t i = 0; i < log.bytes.size() && status.ok(); ++i) status = reader.Read("log", i + 1, log.bytes[i]);
  if (status.ok()) status = reader.CheckEnd();
  if (whole) HOLDFAST_CHECK(status.ok() && last == log.payloads.size(), "a log that is whole is not read");
  return 0;
}
