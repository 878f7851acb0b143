// The bytes of a commit log: segments, which are files of blocks, and the records in them.
//
// A segment begins with two blocks that both have its header, so that damage to one of them loses nothing. Records
// follow, each at the beginning of a block; the rest of a record's last block is zeros. A batch is one record, or
// several in a row if it is large; they are numbered.
//
// The file of a segment whose batches are folded is used again for a later segment, so behind the last record there may
// be older ones. They do not count: a record counts only if it has the segment's number and the run of the header. The
// run is a number that is drawn at random when a process opens the log, so nobody who can only choose what is written
// can make bytes that look like a record.
//
// All numbers are little-endian. A checksum is XXH3-64 of the bytes behind it.
//
//   header   8 "HFLOGSEG", 8 checksum, 4 version, 4 log, 8 run, 8 segment, 8 folded, 8 time, zeros to the end of the
//            block; the checksum goes to there
//   record   8 checksum, 4 bytes of the payload, 2 part, 2 flags, 8 run, 8 segment, 8 batch, 8 time, the payload

#ifndef HOLDFAST_STORAGE_LOG_LOG_FORMAT_H_
#define HOLDFAST_STORAGE_LOG_LOG_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/base/batch_number.h"

namespace holdfast::storage {

inline constexpr size_t kLogBlockBytes = 4096;
inline constexpr size_t kLogSegmentHeaderBytes = 2 * kLogBlockBytes;
inline constexpr size_t kLogRecordHeaderBytes = 48;

struct LogSegmentHeader {
  uint32_t log = 0;  // the number of the log, which is that of its executor
  uint64_t run = 0;
  uint64_t segment = 0;    // numbers count up from 1, over all files of the log
  BatchNumber folded = 0;  // the store held this batch and all before it when the header was written
  int64_t time_us = 0;

  bool operator==(const LogSegmentHeader&) const = default;
};

struct LogRecord {
  uint64_t run = 0;
  uint64_t segment = 0;
  BatchNumber batch = 0;
  int64_t time_us = 0;
  uint16_t part = 0;  // the number of the record in its batch, from 0
  bool last = true;   // no record of this batch follows
  bool end = false;   // the log was closed after the batches before `batch`; there is no payload
  absl::string_view payload;

  bool operator==(const LogRecord&) const = default;
};

// Returns `bytes` rounded up to whole blocks.
constexpr size_t InLogBlocks(size_t bytes) { return (bytes + kLogBlockBytes - 1) / kLogBlockBytes * kLogBlockBytes; }

// Returns the blocks of the header.
std::string EncodeLogSegmentHeader(const LogSegmentHeader& header);
// Returns the header that is at the beginning of a segment; nothing if neither block has a whole one of a version that
// this code knows.
std::optional<LogSegmentHeader> ParseLogSegmentHeader(absl::string_view bytes);

// Appends the record to `*blocks`, in whole blocks.
void AppendLogRecord(const LogRecord& record, std::string* blocks);
// Returns the record at the beginning of `blocks`, with a payload that lies in `blocks`; nothing if no whole record of
// this run and segment begins there.
std::optional<LogRecord> ParseLogRecord(absl::string_view blocks, uint64_t run, uint64_t segment);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_LOG_LOG_FORMAT_H_
