#include "storage/rocksdb/wal_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "rocksdb/file_checksum.h"
#include "storage/rocksdb/status.h"
#include "storage/store/format.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::WriteAheadLogs;

// A log is blocks of 32 KiB. A commit is a record, whole or in parts, none of which crosses a block:
// masked CRC-32C of all that follows the length (4), length (2), type (1), bytes. Fewer bytes than these 7 at the end
// of a block are unused. A commit begins with its number (8) and how many it takes (4), which may lie in several parts.
constexpr size_t kBlockBytes = 32 << 10;
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

// As RocksDB writes it: rotated, and with a constant added. By RocksDB's own code, for its speed.
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
  bool possible;  // one like this could be written there
};

bool HasCrc(absl::string_view block, size_t at, size_t length, uint32_t crc) {
  return MaskedCrc32c(block.substr(at + kTypeAt, 1 + length)) == crc;
}

// Whether the part at `at`, which reaches past the end of the file, is whole with another length: the length is
// damaged.
bool IsWholeWithOtherLength(absl::string_view block, size_t at) {
  const PartHeader header(block, at);
  for (size_t length = 0; at + kHeaderBytes + length <= block.size(); ++length) {
    const size_t next = at + kHeaderBytes + length;
    const bool may_end = next + kHeaderBytes > block.size() || PartHeader(block, next).possible;
    if (may_end && HasCrc(block, at, length, header.crc)) return true;
  }
  return false;
}

class WalReader {
 public:
  explicit WalReader(WalFile* wal) : wal_(*wal), file_(wal->path, std::ios::binary) {}

  void Read() {
    std::string buffer(kBlockBytes, '\0');
    if (!file_.is_open()) Damaged("cannot be opened");
    while (wal_.damage.ok() && !torn_) {
      file_.read(buffer.data(), kBlockBytes);
      if (file_.bad()) return Damaged("cannot be read");
      const auto size = static_cast<size_t>(file_.gcount());
      if (size == 0) return;
      ReadBlock(absl::string_view(buffer).substr(0, size));
      offset_ += size;
    }
  }

 private:
  void ReadBlock(absl::string_view block) {
    at_ = 0;
    while (at_ < block.size() && at_ + kHeaderBytes <= kBlockBytes && wal_.damage.ok()) {
      if (at_ + kHeaderBytes > block.size()) {
        torn_ = true;
        return;
      }
      const PartHeader header(block, at_);
      const size_t end = at_ + kHeaderBytes + header.length;
      if (header.possible && end > block.size()) {
        if (IsWholeWithOtherLength(block, at_)) return Damaged("has a record with a wrong length");
        torn_ = true;
        return;
      }
      if (header.possible && HasCrc(block, at_, header.length, header.crc)) {
        AddPart(header.type, block.substr(at_ + kHeaderBytes, header.length));
      } else if (IsZeroToTheEnd(block.substr(at_))) {
        torn_ = true;  // the file had grown, but its new pages were not written
        return;
      } else {
        return Damaged("has a record that does not match its checksum");
      }
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

  bool IsZeroToTheEnd(absl::string_view rest) {
    std::string buffer(kBlockBytes, '\0');
    while (!rest.empty()) {
      if (rest.find_first_not_of('\0') != rest.npos) return false;
      file_.read(buffer.data(), kBlockBytes);
      rest = absl::string_view(buffer).substr(0, static_cast<size_t>(file_.gcount()));
    }
    return true;
  }

  void Damaged(absl::string_view what) {
    wal_.damage =
        absl::DataLossError(absl::StrCat("write-ahead log ", wal_.path, " ", what, " at byte ", offset_ + at_));
  }

  WalFile& wal_;
  std::ifstream file_;
  size_t offset_ = 0;  // of the block
  size_t at_ = 0;      // in the block
  bool in_commit_ = false;
  bool torn_ = false;
  std::string head_;  // the first bytes of the commit
};

}  // namespace

std::string WalPath(const std::string& data_dir, uint64_t number) {
  return absl::StrFormat("%s/%06d.log", data_dir, number);
}

absl::Status WriteWalMarks(rocksdb::Env* env, const std::string& data_dir, const WalMarks& marks) {
  WriteAheadLogs logs;
  for (uint64_t number : marks.listed) logs.add_numbers(number);
  logs.set_last_sequence(marks.last_sequence);
  const std::string path = absl::StrCat(data_dir, "/", kWriteAheadLogsFile);
  rocksdb::Status status =
      rocksdb::WriteStringToFile(env, logs.SerializeAsString(), path + ".new", /*should_sync=*/true);
  if (status.ok()) status = env->RenameFile(path + ".new", path);
  std::unique_ptr<rocksdb::Directory> directory;
  if (status.ok()) status = env->NewDirectory(data_dir, &directory);
  if (status.ok()) status = directory->Fsync();
  return FromRocksDb(status);
}

absl::StatusOr<WalMarks> ReadWalMarks(rocksdb::Env* env, const std::string& data_dir) {
  const std::string path = absl::StrCat(data_dir, "/", kWriteAheadLogsFile);
  if (env->FileExists(path).IsNotFound()) return WalMarks();
  std::string bytes;
  if (const rocksdb::Status status = rocksdb::ReadFileToString(env, path, &bytes); !status.ok()) {
    return FromRocksDb(status);
  }
  WriteAheadLogs logs;
  if (!logs.ParseFromString(bytes) || logs.numbers().empty()) {
    return absl::DataLossError(absl::StrCat(path, " is garbled"));
  }
  WalMarks marks;
  marks.last_sequence = logs.last_sequence();
  marks.listed.assign(logs.numbers().begin(), logs.numbers().end());
  return marks;
}

absl::StatusOr<std::vector<uint64_t>> ListWals(const std::string& data_dir) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator it(data_dir, error), end; !error && it != end; it.increment(error)) {
    uint64_t number;
    const std::filesystem::path& path = it->path();
    if (path.extension() == ".log" && absl::SimpleAtoi(path.stem().string(), &number)) numbers.push_back(number);
  }
  if (error) return absl::InternalError(absl::StrCat("data directory ", data_dir, ": ", error.message()));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::StatusOr<std::vector<WalFile>> ReadWals(const std::string& data_dir) {
  const auto numbers = ListWals(data_dir);
  if (!numbers.ok()) return numbers.status();
  std::vector<WalFile> files;
  for (uint64_t number : *numbers) {
    WalFile& wal = files.emplace_back();
    wal.number = number;
    wal.path = WalPath(data_dir, number);
    WalReader(&wal).Read();
  }
  return files;
}

absl::Status CheckWals(const std::string& data_dir, const std::vector<WalFile>& files, const WalMarks& marks,
                       uint64_t recovered) {
  const WalFile* before = nullptr;  // the last one that has a commit
  for (const WalFile& wal : files) {
    if (wal.number < marks.oldest) continue;
    if (!wal.damage.ok()) return wal.damage;
    if (!wal.first) continue;
    if (before != nullptr && *wal.first != before->next) {
      return absl::DataLossError(absl::StrCat("the commits from number ", before->next, " to ", *wal.first - 1,
                                              " are missing between write-ahead logs ", before->path, " and ", wal.path,
                                              ": the first is cut off, or one between them is missing"));
    }
    before = &wal;
  }
  for (uint64_t number : marks.listed) {
    if (number < marks.oldest) continue;
    const auto wal = std::find_if(files.begin(), files.end(), [&](const WalFile& w) { return w.number == number; });
    if (wal == files.end()) {
      return absl::DataLossError(absl::StrCat("write-ahead log ", WalPath(data_dir, number), " is missing"));
    }
    if (!wal->first && number != marks.listed.back()) {
      return absl::DataLossError(absl::StrCat("write-ahead log ", wal->path, " has lost its commits"));
    }
  }
  const uint64_t last = before != nullptr ? before->next - 1 : recovered;
  const uint64_t recorded = std::max(marks.last_sequence, recovered);
  if (last >= recorded) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("write-ahead log ", files.empty() ? data_dir + "/*.log" : files.back().path,
                                          " is cut off: the commits from number ", last + 1, " to ", recorded,
                                          " are missing"));
}

}  // namespace holdfast::storage
