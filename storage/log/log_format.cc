#include "storage/log/log_format.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

namespace holdfast::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are in memory");

constexpr absl::string_view kMagic = "HFLOGSEG";
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumBytes = 8;
constexpr uint16_t kFlagLast = 1;
constexpr uint16_t kFlagEnd = 2;

template <typename Number>
void Append(Number number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

template <typename Number>
Number Take(absl::string_view* bytes) {
  Number number;
  std::memcpy(&number, bytes->data(), sizeof(number));
  bytes->remove_prefix(sizeof(number));
  return number;
}

uint64_t Checksum(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// Writes the checksum of everything behind it in front of that, at `at`.
void SetChecksum(size_t at, size_t bytes, std::string* out) {
  const uint64_t checksum = Checksum(absl::string_view(*out).substr(at + kChecksumBytes, bytes - kChecksumBytes));
  std::memcpy(out->data() + at, &checksum, sizeof(checksum));
}

std::optional<LogSegmentHeader> ParseHeaderBlock(absl::string_view block) {
  if (block.size() < kLogBlockBytes || block.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  block = block.substr(kMagic.size(), kLogBlockBytes - kMagic.size());
  if (Take<uint64_t>(&block) != Checksum(block)) return std::nullopt;
  if (Take<uint32_t>(&block) != kVersion) return std::nullopt;
  LogSegmentHeader header;
  header.log = Take<uint32_t>(&block);
  header.run = Take<uint64_t>(&block);
  header.segment = Take<uint64_t>(&block);
  header.folded = Take<uint64_t>(&block);
  header.time_us = Take<int64_t>(&block);
  return header;
}

}  // namespace

std::string EncodeLogSegmentHeader(const LogSegmentHeader& header) {
  std::string block(kMagic);
  Append(uint64_t{0}, &block);
  Append(kVersion, &block);
  Append(header.log, &block);
  Append(header.run, &block);
  Append(header.segment, &block);
  Append(header.folded, &block);
  Append(header.time_us, &block);
  block.resize(kLogBlockBytes, '\0');
  SetChecksum(kMagic.size(), kLogBlockBytes - kMagic.size(), &block);
  return block + block;
}

std::optional<LogSegmentHeader> ParseLogSegmentHeader(absl::string_view bytes) {
  if (bytes.size() < kLogSegmentHeaderBytes) return std::nullopt;
  const auto first = ParseHeaderBlock(bytes);
  return first ? first : ParseHeaderBlock(bytes.substr(kLogBlockBytes));
}

void AppendLogRecord(const LogRecord& record, std::string* blocks) {
  const size_t at = blocks->size();
  Append(uint64_t{0}, blocks);
  Append(static_cast<uint32_t>(record.payload.size()), blocks);
  Append(record.part, blocks);
  Append(static_cast<uint16_t>((record.last ? kFlagLast : 0) | (record.end ? kFlagEnd : 0)), blocks);
  Append(record.run, blocks);
  Append(record.segment, blocks);
  Append(record.batch, blocks);
  Append(record.time_us, blocks);
  blocks->append(record.payload.data(), record.payload.size());
  SetChecksum(at, blocks->size() - at, blocks);
  blocks->resize(at + InLogBlocks(blocks->size() - at), '\0');
}

std::optional<LogRecord> ParseLogRecord(absl::string_view blocks, uint64_t run, uint64_t segment) {
  if (blocks.size() < kLogRecordHeaderBytes) return std::nullopt;
  absl::string_view rest = blocks;
  const uint64_t checksum = Take<uint64_t>(&rest);
  const absl::string_view checked = rest;
  const size_t bytes = Take<uint32_t>(&rest);
  LogRecord record;
  record.part = Take<uint16_t>(&rest);
  const uint16_t flags = Take<uint16_t>(&rest);
  record.last = (flags & kFlagLast) != 0;
  record.end = (flags & kFlagEnd) != 0;
  record.run = Take<uint64_t>(&rest);
  record.segment = Take<uint64_t>(&rest);
  record.batch = Take<uint64_t>(&rest);
  record.time_us = Take<int64_t>(&rest);
  record.payload = rest.substr(0, bytes);
  // The checksum comes last: it reads the whole payload.
  if (record.run != run || record.segment != segment || bytes > rest.size()) return std::nullopt;
  if (checksum != Checksum(checked.substr(0, kLogRecordHeaderBytes - kChecksumBytes + bytes))) return std::nullopt;
  return record;
}

}  // namespace holdfast::storage
