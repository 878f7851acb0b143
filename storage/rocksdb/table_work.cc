#include "storage/rocksdb/table_work.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/metadata.h"
#include "rocksdb/options.h"
#include "rocksdb/sst_file_reader.h"
#include "storage/rocksdb/status.h"

namespace holdfast::storage {
namespace {

// A check reads so many bytes at a time, past the block cache.
constexpr size_t kReadBytes = 256 << 10;

absl::Status Stopped() { return absl::CancelledError("the work over the tables was stopped"); }

// Reads tables at a pace. Reads of other files, and of this file by others, are not held back.
class PacedFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  using MayRead = std::function<bool(size_t bytes)>;
  PacedFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file, const MayRead* may_read)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), may_read_(may_read) {}

  rocksdb::IOStatus Read(uint64_t offset, size_t n, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                         char* scratch, rocksdb::IODebugContext* debug) const override {
    if (!(*may_read_)(n)) return rocksdb::IOStatus::Aborted("stopped");
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, debug);
  }

 private:
  const MayRead* const may_read_;
};

class PacedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  PacedFileSystem(const std::shared_ptr<rocksdb::FileSystem>& below, PacedFile::MayRead may_read)
      : FileSystemWrapper(below), may_read_(std::move(may_read)) {}

  const char* Name() const override { return "PacedFileSystem"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::NewRandomAccessFile(path, options, result, debug);
    if (status.ok()) *result = std::make_unique<PacedFile>(std::move(*result), &may_read_);
    return status;
  }

 private:
  const PacedFile::MayRead may_read_;
};

std::vector<rocksdb::LiveFileMetaData> LiveTables(rocksdb::DB* db) {
  std::vector<rocksdb::LiveFileMetaData> tables;
  db->GetLiveFilesMetaData(&tables);
  return tables;
}

bool IsLive(rocksdb::DB* db, const rocksdb::LiveFileMetaData& table) {
  const std::vector<rocksdb::LiveFileMetaData> tables = LiveTables(db);
  return std::any_of(tables.begin(), tables.end(), [&](const auto& other) { return other.name == table.name; });
}

}  // namespace

bool Pace::Wait(size_t bytes, absl::FunctionRef<bool()> goes_on) {
  if (!goes_on()) return false;
  if (bytes_per_second_ == 0) return true;
  for (absl::Time now = now_(); now < next_; now = now_()) {
    sleep_(std::min(next_ - now, kSleepMax));
    if (!goes_on()) return false;
  }
  // Time in which nothing was read is not made up for.
  next_ = std::max(next_, now_()) + absl::Seconds(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  return true;
}

absl::Status CompactFamilies(rocksdb::DB* db, const std::vector<std::shared_ptr<rocksdb::ColumnFamilyHandle>>& families,
                             TableWorkGoesOn goes_on) {
  std::atomic<bool> canceled = false;
  rocksdb::CompactRangeOptions options;
  // Compactions that are due go on beside it.
  options.exclusive_manual_compaction = false;
  options.canceled = &canceled;
  TableProgress progress{.done = 0, .total = families.size()};
  absl::Status first;
  for (const auto& family : families) {
    if (!goes_on(progress)) return Stopped();
    const rocksdb::Status status = db->CompactRange(options, family.get(), nullptr, nullptr);
    // A family that was dropped meanwhile is none any more.
    if (!status.ok() && !status.IsColumnFamilyDropped() && first.ok()) first = FromRocksDb(status);
    ++progress.done;
  }
  return goes_on(progress) ? first : Stopped();
}

absl::Status CheckAllTables(rocksdb::DB* db, Pace* pace, TableWorkGoesOn goes_on, std::vector<DamagedTable>* damaged) {
  const std::vector<rocksdb::LiveFileMetaData> tables = LiveTables(db);
  TableProgress progress;
  for (const auto& table : tables) progress.total += table.size;
  bool stopped = !goes_on(progress);
  uint64_t table_end = 0;  // of the bytes of all tables, where the current one ends
  const auto file_system = std::make_shared<PacedFileSystem>(db->GetEnv()->GetFileSystem(), [&](size_t bytes) {
    const bool read = pace->Wait(bytes, [&] {
      stopped = stopped || !goes_on(progress);
      return !stopped;
    });
    // Some bytes are read twice.
    progress.done = std::min(progress.done + bytes, table_end);
    return read;
  });
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(file_system);
  for (const auto& table : tables) {
    if (stopped) return Stopped();
    table_end += table.size;
    rocksdb::Options options = db->GetOptions();
    options.env = env.get();
    rocksdb::SstFileReader reader(options);
    rocksdb::Status status = reader.Open(absl::StrCat(table.db_path, table.name));
    rocksdb::ReadOptions read;
    read.verify_checksums = true;
    read.fill_cache = false;
    read.readahead_size = kReadBytes;
    if (status.ok()) status = reader.VerifyChecksum(read);
    if (stopped) return Stopped();
    // A compaction may have replaced it.
    if (!status.ok() && IsLive(db, table)) {
      damaged->push_back({std::string(table.name, 1), table.column_family_name, FromRocksDb(status)});
    }
    progress.done = table_end;
  }
  return goes_on(progress) ? absl::OkStatus() : Stopped();
}

}  // namespace holdfast::storage
