#include "storage/rocksdb/wal_check.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/rocksdb/status.h"
#include "storage/store/format.h"

namespace holdfast::storage {
namespace {

using holdfast::storage::v1::WriteAheadLogs;

}  // namespace

std::string WalPath(const std::string& data_dir, uint64_t number) {
  return absl::StrFormat("%s/%06d.log", data_dir, number);
}

absl::Status WriteWalMarks(rocksdb::Env* env, const std::string& data_dir, const WalMarks& marks) {
  WriteAheadLogs logs;
  for (uint64_t number : marks.listed) logs.add_numbers(number);
  logs.set_last_sequence(marks.last_sequence);
  if (marks.header) *logs.mutable_header() = *marks.header;
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
  if (logs.has_header()) marks.header = logs.header();
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
    ReadWal(&wal);
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
