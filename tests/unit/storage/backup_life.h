// One life of a store with backups and an archive, as the server puts them together, on small files.

#ifndef HOLDFAST_TESTS_UNIT_STORAGE_BACKUP_LIFE_H_
#define HOLDFAST_TESTS_UNIT_STORAGE_BACKUP_LIFE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/backup/archiver.h"
#include "storage/backup/backups.h"
#include "storage/backup/restore.h"
#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
#include "storage/rocksdb/rocksdb_copies.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {

// The wall clock of a test: it moves when it is told to.
class TestTime {
 public:
  absl::Time now() const { return absl::FromUnixMicros(us_); }
  absl::Time Advance(absl::Duration by = absl::Seconds(1)) {
    us_ += absl::ToInt64Microseconds(by);
    return now();
  }

 private:
  std::atomic<int64_t> us_ = 1'700'000'000'000'000;
};

struct LifeOptions {
  std::string data_dir;
  std::string directory;
  uint32_t logs = 1;
  bool archive = true;
  int keep = 100;
  uint64_t archive_file_bytes = 8 << 10;
  absl::Duration fold_every = absl::InfiniteDuration();
  FreeBytes free_bytes;
  // Put around the copies; null: nothing is.
  std::function<std::unique_ptr<StoreCopies>(std::unique_ptr<StoreCopies>)> around;
};

class Life {
 public:
  static absl::StatusOr<std::unique_ptr<Life>> Open(const LifeOptions& options, TestTime* time) {
    auto life = std::make_unique<Life>();
    RocksDbOptions rocks = SmallOptions(options.data_dir);
    rocks.log_above = FileCommitLogs::Exist(options.data_dir);
    auto below = OpenRocksDbStore(rocks);
    if (!below.ok()) return below.status();
    Store* const rocks_store = below->get();
    static std::atomic<uint64_t> drawn = uint64_t{std::random_device{}()} << 20;
    FileCommitLogOptions logs{
        .directory = options.data_dir, .run = ++drawn, .segment_bytes = 64 << 10, .segments_max = 4};
    ArchiveMarks* marks = nullptr;
    if (options.archive) {
      auto archiver = Archiver::Open({.directory = options.directory,
                                      .data_dir = options.data_dir,
                                      .run = logs.run,
                                      .interval = absl::Milliseconds(1),
                                      .file_bytes = options.archive_file_bytes,
                                      .random = [] { return ++drawn; }});
      if (!archiver.ok()) return archiver.status();
      life->archiver = *std::move(archiver);
      marks = life->archiver->marks();
    } else if (absl::Status status = Archiver::EndLine(options.data_dir); !status.ok()) {
      return status;
    }
    LoggedStoreOptions logged;
    logged.logs = options.logs;
    logged.fold_every = options.fold_every;
    logged.now = [time] { return time->now(); };
    if (marks != nullptr) logged.overloaded = [marks] { return marks->behind(); };
    auto store = LoggedStore::Open(*std::move(below), std::make_unique<FileCommitLogs>(logs, marks), std::move(logged));
    if (!store.ok()) return store.status();
    life->store = *std::move(store);
    if (life->archiver != nullptr) {
      if (absl::Status status = life->archiver->Start(options.logs); !status.ok()) return status;
    }
    BackupsOptions backups;
    backups.directory = options.directory;
    backups.keep = options.keep;
    backups.disk_reserve_bytes = 1 << 20;
    backups.free_bytes = options.free_bytes;
    backups.now = [time] { return time->now(); };
    backups.open_to_read = [path = CopiesPath(options.directory)] { return OpenRocksDbCopies({.directory = path}); };
    const RocksDbCopiesOptions copies{.directory = CopiesPath(options.directory), .store = rocks_store};
    auto opened = Backups::Open(std::move(backups), life->store.get(), life->archiver.get(),
                                [copies, around = options.around]() -> absl::StatusOr<std::unique_ptr<StoreCopies>> {
                                  auto made = OpenRocksDbCopies(copies);
                                  if (!made.ok() || around == nullptr) return made;
                                  return around(*std::move(made));
                                });
    if (!opened.ok()) return opened.status();
    life->backups = *std::move(opened);
    return life;
  }

  // Commits one key through the log of an executor.
  void Put(const Location& at, const std::string& key, const std::string& value, int executor = 0) {
    ASSERT_THAT(Commit(*store->ForExecutor(executor), {{at, OnePut(key, value)}}), IsOk());
  }

  // Makes a backup and waits for its end.
  absl::StatusOr<Backup> BackUp() {
    const uint64_t number = backups->Request();
    Backups::Progress progress = backups->progress();
    while (progress.number < number || progress.step != Backups::Step::kNone) {
      progress = backups->WaitForProgress(progress, std::chrono::steady_clock::now() + std::chrono::seconds(60));
    }
    if (!progress.outcome.ok()) return progress.outcome;
    return *progress.made;
  }

  std::unique_ptr<Archiver> archiver;
  std::unique_ptr<LoggedStore> store;
  std::unique_ptr<Backups> backups;
};

inline absl::StatusOr<Restored> RestoreTo(const std::string& directory, const std::string& data_dir,
                                          std::optional<absl::Time> at = std::nullopt) {
  auto copies = OpenRocksDbCopies({.directory = CopiesPath(directory)});
  if (!copies.ok()) return copies.status();
  RestoreOptions options;
  options.directory = directory;
  options.data_dir = data_dir;
  options.at = at;
  options.copies = copies->get();
  options.open_store = [](const std::string& path) {
    RocksDbOptions rocks = SmallOptions(path);
    rocks.log_above = true;
    return OpenRocksDbStore(rocks);
  };
  return Restore(options);
}

}  // namespace holdfast::storage

#endif  // HOLDFAST_TESTS_UNIT_STORAGE_BACKUP_LIFE_H_
