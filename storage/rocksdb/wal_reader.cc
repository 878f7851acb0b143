#include "storage/rocksdb/wal_reader.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "rocksdb/file_checksum.h"

namespace holdfast::storage {
namespace {

// A log is blocks of 32 KiB. A commit is a record, whole or in parts, none of which crosses a block. A part is: masked
// CRC-32C of all that follows the length (4), length (2), type (1), bytes. Fewer bytes than these 7 at the end of a
// block are unused. A commit begins with its number (8) and how many numbers it takes (4), which may lie in several
// parts.
constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kPageBytes = 4 << 10;
constexpr size_t kHeaderBytes = 7;
constexpr size_t kTypeAt = 6;
constexpr size_t kCommitHeadBytes = 12;
enum Type : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

template <typename T>
T LittleEndian(absl::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

// Returns the checksum as RocksDB writes it: rotated, and with a constant added. RocksDB's own code computes it, for
// its speed.
uint32_t MaskedCrc32c(absl::string_view bytes) {
  static const auto* const factory =
      new std::shared_ptr<rocksdb::FileChecksumGenFactory>(rocksdb::GetFileChecksumGenCrc32cFactory());
  const auto generator = (*factory)->CreateFileChecksumGenerator({});
  generator->Update(bytes.data(), bytes.size());
  generator->Finalize();
  uint32_t crc = 0;
  for (char c : generator->GetChecksum()) crc = crc << 8 | static_cast<uint8_t>(c);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// The header of the part at `at` of a block.
struct PartHeader {
  PartHeader(absl::string_view block, size_t at)
      : crc(LittleEndian<uint32_t>(block.substr(at))),
        length(LittleEndian<uint16_t>(block.substr(at + 4))),
        type(static_cast<uint8_t>(block[at + kTypeAt])),
        possible(type >= kFull && type <= kLast && at + kHeaderBytes + length <= kBlockBytes) {}

  uint32_t crc;
  size_t length;
  uint8_t type;
  bool possible;  // a part with this header could stand there
};

bool HasCrc(absl::string_view block, size_t at, size_t length, uint32_t crc) {
  return MaskedCrc32c(block.substr(at + kTypeAt, 1 + length)) == crc;
}

// Returns whether the part at `at`, which reaches past the end of the file, is whole with another length; then the
// length is damaged.
bool IsWholeWithOtherLength(absl::string_view block, size_t at) {
  const PartHeader header(block, at);
  for (size_t length = 0; at + kHeaderBytes + length <= block.size(); ++length) {
    const size_t next = at + kHeaderBytes + length;
    const bool may_end = next + kHeaderBytes > block.size() || PartHeader(block, next).possible;
    if (may_end && HasCrc(block, at, length, header.crc)) return true;
  }
  return false;
}

bool IsZero(absl::string_view bytes) { return bytes.find_first_not_of('\0') == bytes.npos; }

// Returns whether one of the pages of the part from `at` to `end` was not written.
bool LacksPage(absl::string_view block, size_t at, size_t end) {
  end = std::min(end, block.size());
  while (at < end) {
    const size_t page_end = at / kPageBytes * kPageBytes + kPageBytes;
    if (IsZero(block.substr(at, page_end - at))) return true;
    at = page_end;
  }
  return false;
}

class WalReader {
 public:
  explicit WalReader(WalFile* wal) : wal_(*wal), file_(wal->path, std::ios::binary) {}

  void Read() {
    if (!file_.is_open()) Damaged("cannot be opened");
    while (wal_.damage.ok() && !wal_.torn_at) {
      const absl::string_view block = NextBlock();
      if (block.empty()) break;
      ReadBlock(block);
      offset_ += block.size();
    }
    if (wal_.damage.ok() && !wal_.torn_at && in_commit_) wal_.torn_at = commit_at_;
  }

 private:
  // Returns the next block, valid until the next call; empty at the end of the file.
  absl::string_view NextBlock() {
    file_.read(buffer_.data(), kBlockBytes);
    if (file_.bad()) Damaged("cannot be read");
    return absl::string_view(buffer_).substr(0, static_cast<size_t>(file_.gcount()));
  }

  void ReadBlock(absl::string_view block) {
    at_ = 0;
    while (at_ < block.size() && at_ + kHeaderBytes <= kBlockBytes && wal_.damage.ok()) {
      if (!in_commit_) commit_at_ = offset_ + at_;
      if (at_ + kHeaderBytes > block.size()) {
        wal_.torn_at = commit_at_;
        return;
      }
      const PartHeader header(block, at_);
      const size_t end = at_ + kHeaderBytes + header.length;
      if (header.possible && end > block.size()) {
        if (IsWholeWithOtherLength(block, at_)) return Damaged("has a record with a wrong length");
        wal_.torn_at = commit_at_;
        return;
      }
      if (!header.possible || !HasCrc(block, at_, header.length, header.crc)) {
        if (!LacksPage(block, at_, header.possible ? end : at_ + kHeaderBytes) || !IsLastCommit(block, header, end)) {
          return Damaged("has a record that does not match its checksum");
        }
        wal_.torn_at = commit_at_;
        return;
      }
      AddPart(header.type, block.substr(at_ + kHeaderBytes, header.length));
      at_ = end;
    }
  }

  void AddPart(uint8_t type, absl::string_view bytes) {
    const bool begins = type == kFull || type == kFirst;
    if (begins == in_commit_)
      return Damaged(begins ? "has a commit without an end" : "has a commit without a beginning");
    if (begins) head_.clear();
    head_.append(bytes.data(), std::min(bytes.size(), kCommitHeadBytes - head_.size()));
    in_commit_ = type == kFirst || type == kMiddle;
    if (in_commit_) return;
    if (head_.size() < kCommitHeadBytes) return Damaged("has a commit without a number");
    const auto number = LittleEndian<uint64_t>(head_);
    if (!wal_.first) wal_.first = wal_.next = number;
    if (number != wal_.next) return Damaged(absl::StrCat("lacks the commits from number ", wal_.next));
    wal_.next = number + LittleEndian<uint32_t>(absl::string_view(head_).substr(8));
  }

  // Returns whether nothing but the rest of its commit follows the part at at_, which is bad and lacks a page. Reads on
  // in the file.
  bool IsLastCommit(absl::string_view block, const PartHeader& header, size_t end) {
    size_t from = at_ + 1;
    if (header.possible && !LacksPage(block, at_, at_ + kHeaderBytes)) {
      const bool begins = header.type == kFull || header.type == kFirst;
      if (begins == in_commit_) return false;
      if (header.type == kFull || header.type == kLast) return IsZeroToTheEnd(block.substr(end));
      from = end;
    }
    if (HasLaterCommit(block, offset_, from)) return false;
    uint64_t offset = offset_ + block.size();
    for (block = NextBlock(); !block.empty(); offset += block.size(), block = NextBlock()) {
      if (block.size() >= kHeaderBytes) {
        const PartHeader next(block, 0);
        const size_t next_end = kHeaderBytes + next.length;
        if (next.possible && next_end <= block.size() && HasCrc(block, 0, next.length, next.crc)) {
          if (next.type == kMiddle) continue;
          return next.type == kLast && IsZeroToTheEnd(block.substr(next_end));
        }
      }
      if (HasLaterCommit(block, offset, 0)) return false;
    }
    return true;
  }

  // Returns whether another commit than the one at commit_at_ begins in the block at `offset`, at `from` or behind. If
  // the parts before it are bad, nothing says where it begins, so each position is tried. A value may look like a
  // commit, but has none of the numbers that may follow: each number takes more than one byte of the log.
  bool HasLaterCommit(absl::string_view block, uint64_t offset, size_t from) {
    for (size_t at = from; at + kHeaderBytes <= block.size(); ++at) {
      const PartHeader header(block, at);
      const size_t end = at + kHeaderBytes + header.length;
      const bool full = header.type == kFull && header.length >= kCommitHeadBytes;
      const bool first = header.type == kFirst && end == kBlockBytes;
      if (!header.possible || end > block.size() || (!full && !first)) continue;
      if (wal_.first && header.length >= sizeof(uint64_t)) {
        const auto number = LittleEndian<uint64_t>(block.substr(at + kHeaderBytes));
        if (number < wal_.next || number - wal_.next > offset + at - commit_at_) continue;
      }
      if (HasCrc(block, at, header.length, header.crc)) return true;
    }
    return false;
  }

  bool IsZeroToTheEnd(absl::string_view rest) {
    while (IsZero(rest)) {
      rest = NextBlock();
      if (rest.empty()) return true;
    }
    return false;
  }

  void Damaged(absl::string_view what) {
    wal_.damage =
        absl::DataLossError(absl::StrCat("write-ahead log ", wal_.path, " ", what, " at byte ", offset_ + at_));
  }

  WalFile& wal_;
  std::ifstream file_;
  std::string buffer_ = std::string(kBlockBytes, '\0');
  uint64_t offset_ = 0;     // of the block
  size_t at_ = 0;           // in the block
  bool in_commit_ = false;  // parts of a commit were read, and its last was not
  uint64_t commit_at_ = 0;  // where the commit that is being read begins
  std::string head_;        // the first bytes of the commit
};

}  // namespace

void ReadWal(WalFile* wal) { WalReader(wal).Read(); }

}  // namespace holdfast::storage
