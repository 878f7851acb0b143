// Backups and restores: a backup has what was committed before it, a restore with the archive brings back any moment,
// and what is missing or damaged is named.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/storage/backup_life.h"
#include "tests/unit/storage/files.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

const Location kA = {FamilyId::kPacked, "a/"};
const Location kB = {FamilyId::kPacked, "b/"};

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    options_.data_dir = temp_.path() + "/data";
    options_.directory = temp_.path() + "/backups";
  }

  std::unique_ptr<Life> Open() {
    auto life = Life::Open(options_, &time_);
    EXPECT_THAT(life.status(), IsOk());
    return *std::move(life);
  }

  // Restores and returns the value of each key of a location in the restored store; nothing if that fails.
  std::optional<std::map<std::string, std::string>> Restored(std::optional<absl::Time> at, const Location& from = kA) {
    const std::string data_dir = absl::StrCat(temp_.path(), "/restored", ++restored_);
    const auto restored = RestoreTo(options_.directory, data_dir, at);
    EXPECT_THAT(restored.status(), IsOk());
    if (!restored.ok()) return std::nullopt;
    return Contents(data_dir, from);
  }
  // Opens a store as a server does, and returns what a location has.
  std::map<std::string, std::string> Contents(const std::string& data_dir, const Location& from) {
    LifeOptions options = options_;
    options.data_dir = data_dir;
    options.directory = data_dir + "-backups";
    options.archive = false;
    auto life = Life::Open(options, &time_);
    EXPECT_THAT(life.status(), IsOk());
    return life.ok() ? All(*(*life)->store, from) : std::map<std::string, std::string>();
  }
  static std::map<std::string, std::string> All(Store& store, const Location& from) {
    std::map<std::string, std::string> all;
    const auto cursor = store.NewCursor(from, KeyRange::Prefix(""), ReadTier::kDisk);
    for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
      all[std::string(cursor->key())] = std::string(cursor->value());
    }
    EXPECT_EQ(cursor->state(), ReadResult::kAbsent) << cursor->error();
    return all;
  }

  absl::Status RestoreError(std::optional<absl::Time> at = std::nullopt) {
    return RestoreTo(options_.directory, absl::StrCat(temp_.path(), "/restored", ++restored_), at).status();
  }

  std::vector<std::string> ArchiveFiles() {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(options_.directory + "/archive")) {
      if (entry.path().extension() == ".log") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TempDir temp_;
  TestTime time_;
  LifeOptions options_;
  int restored_ = 0;
};

TEST_F(BackupTest, ABackupHasWhatWasCommittedBeforeIt) {
  options_.archive = false;
  auto life = Open();
  life->Put(kA, "k", "before");
  time_.Advance();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  const absl::Time first = time_.now();
  time_.Advance();
  life->Put(kA, "k", "after");
  life->Put(kA, "l", "after");
  ASSERT_THAT(life->BackUp().status(), IsOk());
  life = nullptr;

  EXPECT_EQ(Restored(first), (std::map<std::string, std::string>{{"k", "before"}}));
  EXPECT_EQ(Restored(std::nullopt), (std::map<std::string, std::string>{{"k", "after"}, {"l", "after"}}));
  EXPECT_THAT(RestoreError(first - absl::Seconds(1)), IsStatus(absl::StatusCode::kNotFound, "has no backup before"));
}

TEST_F(BackupTest, ARestoreBringsBackAnyMoment) {
  // The value of each key at each moment, over runs with more and fewer executors, in which objects change their logs.
  std::map<absl::Time, std::map<std::string, std::string>> moments;
  std::map<std::string, std::string> now;
  int value = 0;
  for (uint32_t logs : {1, 3, 2, 1, 3}) {
    options_.logs = logs;
    auto life = Open();
    ASSERT_THAT(life->BackUp().status(), IsOk());
    for (int i = 0; i < 60; ++i) {
      time_.Advance();
      const std::string key = absl::StrCat("k", i % 5);
      now[key] = absl::StrCat(++value, std::string(3000, 'x'));
      life->Put(kA, key, now[key], i % 5 % static_cast<int>(logs));
      if (i % 7 == 0) ASSERT_THAT(life->store->Fold(), IsOk());
      moments[time_.now()] = now;
    }
  }
  EXPECT_GT(ArchiveFiles().size(), 20u);
  int n = 0;
  for (const auto& [at, expected] : moments) {
    if (++n % 37 != 0 && n != static_cast<int>(moments.size())) continue;
    const auto restored = Restored(at + absl::Milliseconds(500));
    ASSERT_TRUE(restored == expected) << "moment " << n << " of " << moments.size();
  }
}

TEST_F(BackupTest, AFamilyThatIsYoungerThanTheBackupIsRestored) {
  auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  time_.Advance();
  const auto family = life->store->CreateFamily("own");
  ASSERT_THAT(family.status(), IsOk());
  life->Put({*family, ""}, "k", "own");
  ASSERT_THAT(life->store->Fold(), IsOk());
  life = nullptr;
  const std::string data_dir = temp_.path() + "/restored";
  ASSERT_THAT(RestoreTo(options_.directory, data_dir).status(), IsOk());
  RocksDbOptions rocks = SmallOptions(data_dir);
  rocks.log_above = true;
  const auto store = OpenOrDie(rocks);
  const auto own = store->ListOwnFamilies();
  ASSERT_EQ(own.size(), 1u);
  EXPECT_EQ(own[0].name, "own");
  EXPECT_EQ(All(*store, {own[0].id, ""}), (std::map<std::string, std::string>{{"k", "own"}}));
}

// Folds, families and commits go on while backups are made. Each commit puts the same value in two places, so a backup
// that has a part of one shows.
TEST_F(BackupTest, ABackupUnderLoadHasWholeCommits) {
  options_.archive = false;
  options_.fold_every = absl::Milliseconds(1);
  auto life = Open();
  std::atomic<bool> stop = false;
  std::atomic<int> committed = 0;
  std::thread load([&] {
    for (int i = 1; !stop; ++i) {
      if (i % 50 == 1) ASSERT_THAT(life->store->CreateFamily(absl::StrCat("own", i)).status(), IsOk());
      const auto families = life->store->ListOwnFamilies();
      const Location own = {families[static_cast<size_t>(i) % families.size()].id, ""};
      const std::string value = absl::StrCat(i);
      ASSERT_THAT(Commit(*life->store, {{kA, OnePut("k", value)}, {own, OnePut("k", value)}}), IsOk());
      committed = i;
    }
  });
  std::map<uint32_t, int> least;
  for (int i = 0; i < 5; ++i) {
    const int before = committed;
    const auto made = life->BackUp();
    ASSERT_THAT(made.status(), IsOk());
    least[made->id] = before;
  }
  stop = true;
  load.join();
  life = nullptr;
  auto copies = OpenRocksDbCopies({.directory = CopiesPath(options_.directory)});
  ASSERT_THAT(copies.status(), IsOk());
  for (const auto& [id, before] : least) {
    const std::string data_dir = absl::StrCat(temp_.path(), "/copy", id);
    ASSERT_THAT((*copies)->Restore(id, data_dir), IsOk());
    RocksDbOptions rocks = SmallOptions(data_dir);
    rocks.log_above = true;
    const auto store = OpenOrDie(rocks);
    const int value = std::atoi(All(*store, kA)["k"].c_str());
    EXPECT_GE(value, before);
    int newest = 0;
    for (const OwnFamily& own : store->ListOwnFamilies()) {
      newest = std::max(newest, std::atoi(All(*store, {own.id, ""})["k"].c_str()));
    }
    EXPECT_EQ(newest, value) << "copy " << id;
  }
}

TEST_F(BackupTest, AGapInTheArchiveIsNamed) {
  auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  std::vector<absl::Time> times;
  for (int i = 0; i < 40; ++i) {
    times.push_back(time_.Advance());
    life->Put(kA, "k", absl::StrCat(i, std::string(3000, 'x')));
  }
  life = nullptr;
  const std::vector<std::string> files = ArchiveFiles();
  ASSERT_GT(files.size(), 5u);
  fs::rename(files[3], temp_.path() + "/away");
  EXPECT_THAT(RestoreError(), IsStatus(absl::StatusCode::kDataLoss, "the archive has a gap"));
  EXPECT_THAT(RestoreError(), IsStatus(absl::StatusCode::kDataLoss, files[2]));
  EXPECT_TRUE(Restored(times[2])) << "a moment before the gap";
  fs::rename(temp_.path() + "/away", files[3]);
  EXPECT_TRUE(Restored(std::nullopt));

  // A flipped bit is a gap too, wherever it is, and so is one in the last file if more follows in it.
  for (const std::string& file : {files[3], files.back()}) {
    const std::string whole = ReadFile(file);
    FlipBit(file, kLogSegmentHeaderBytes + 100, 3);
    const absl::Status status = RestoreError();
    if (file == files[3] || whole.size() > kLogSegmentHeaderBytes + 4000) {
      EXPECT_THAT(status, IsStatus(absl::StatusCode::kDataLoss, file));
    }
    WriteFile(file, whole);
  }
}

TEST_F(BackupTest, ATornEndOfTheArchiveIsTheEnd) {
  auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  for (int i = 0; i < 3; ++i) life->Put(kA, "k", absl::StrCat(i));
  life = nullptr;
  const std::string file = ArchiveFiles().back();
  const std::string whole = ReadFile(file);
  WriteFile(file, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(Restored(std::nullopt), (std::map<std::string, std::string>{{"k", "1"}}));

  // The next run archives the batch again, since the log has it.
  Open();
  EXPECT_EQ(Restored(std::nullopt), (std::map<std::string, std::string>{{"k", "2"}}));
}

TEST_F(BackupTest, ARestoredStoreBeginsALineOfItsOwn) {
  auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  life->Put(kA, "k", "1");
  const absl::Time first = time_.now();
  time_.Advance();
  life->Put(kA, "k", "lost");
  life = nullptr;
  const std::string data_dir = temp_.path() + "/next";
  ASSERT_THAT(RestoreTo(options_.directory, data_dir, first).status(), IsOk());

  options_.data_dir = data_dir;
  life = Open();
  time_.Advance();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  life->Put(kA, "k", "2");
  life = nullptr;
  EXPECT_EQ(Restored(std::nullopt), (std::map<std::string, std::string>{{"k", "2"}}));
  EXPECT_EQ(Restored(first), (std::map<std::string, std::string>{{"k", "1"}}));
}

TEST_F(BackupTest, TooManyBackupsAndTheArchiveBeforeThemGo) {
  options_.keep = 2;
  auto life = Open();
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(life->BackUp().status(), IsOk());
    for (int n = 0; n < 20; ++n) {
      time_.Advance();
      life->Put(kA, "k", absl::StrCat(i, "-", n, std::string(3000, 'x')));
    }
  }
  const size_t before = ArchiveFiles().size();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  const auto backups = life->backups->List();
  ASSERT_EQ(backups.size(), 2u);
  EXPECT_LT(ArchiveFiles().size(), before);
  life = nullptr;
  EXPECT_TRUE(Restored(backups.front().time));
}

TEST_F(BackupTest, NothingIsRestoredOverAStore) {
  auto life = Open();
  life->Put(kA, "k", "mine");
  ASSERT_THAT(life->BackUp().status(), IsOk());
  life = nullptr;
  EXPECT_THAT(RestoreTo(options_.directory, options_.data_dir).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition, options_.data_dir));
  EXPECT_EQ(Contents(options_.data_dir, kA), (std::map<std::string, std::string>{{"k", "mine"}}));
  fs::create_directory(temp_.path() + "/empty");
  EXPECT_THAT(RestoreTo(options_.directory, temp_.path() + "/empty").status(), IsOk());
}

TEST_F(BackupTest, ADamagedBackupIsRefused) {
  options_.archive = false;
  auto life = Open();
  life->Put(kA, "k", std::string(100000, 'x'));
  ASSERT_THAT(life->BackUp().status(), IsOk());
  life = nullptr;
  int damaged = 0;
  for (const auto& entry : fs::recursive_directory_iterator(CopiesPath(options_.directory))) {
    if (!entry.is_regular_file() || entry.file_size() < 1000) continue;
    const std::string whole = ReadFile(entry.path());
    FlipBit(entry.path(), whole.size() / 2, 1);
    EXPECT_THAT(RestoreError(), IsStatus(absl::StatusCode::kDataLoss, options_.directory));
    WriteFile(entry.path(), whole);
    ++damaged;
  }
  EXPECT_GT(damaged, 0);
  EXPECT_TRUE(Restored(std::nullopt));
}

TEST_F(BackupTest, ADirectoryInsideTheDataIsRefused) {
  const std::string data = temp_.path() + "/data";
  EXPECT_THAT(CheckBackupDirectory(temp_.path() + "/backups", data), IsOk());
  EXPECT_THAT(CheckBackupDirectory(temp_.path() + "/data-backups", data), IsOk());
  for (const std::string& bad : {data, data + "/", data + "/in", data + "/../data/in", temp_.path()}) {
    EXPECT_THAT(CheckBackupDirectory(bad, data),
                IsStatus(absl::StatusCode::kInvalidArgument, "must not be inside each other"));
  }
  fs::create_directory(data);
  fs::create_directory_symlink(data, temp_.path() + "/link");
  EXPECT_FALSE(CheckBackupDirectory(temp_.path() + "/link/in", data).ok());
}

TEST_F(BackupTest, ADirectoryHasOneServer) {
  const auto life = Open();
  options_.data_dir = temp_.path() + "/other";
  options_.archive = false;
  EXPECT_THAT(Life::Open(options_, &time_).status(),
              IsStatus(absl::StatusCode::kUnavailable, "in use by another process"));
}

}  // namespace
}  // namespace holdfast::storage
