// Write-ahead logs that were damaged, cut off or lost while the store was closed.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/rocksdb/wal_check.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

// The log of a store with enough commits for three blocks.
class WalTest : public testing::Test {
 protected:
  static constexpr int kCommits = 90;
  static constexpr size_t kValueBytes = 900;

  void SetUp() override {
    Live(0);
    const std::vector<std::string> logs = Logs();
    ASSERT_EQ(logs.size(), 1u);
    wal_ = logs[0];
    records_ = WalRecords(ReadFile(dir() + "/" + wal_));
    ASSERT_GT(records_.size(), static_cast<size_t>(kCommits));
  }

  const std::string& dir() const { return dir_.path(); }
  // A copy of the directory from before the store was closed.
  std::string crashed() const { return crashed_.path() + "/store"; }

  // Opens the store, commits, and closes it; no part of the log is flushed.
  void Live(int number, int commits = kCommits) {
    auto store = OpenOrDie(SmallOptions(dir()));
    for (int i = 0; i < commits; ++i) {
      const std::string key = absl::StrCat(number, "/", 1000 + i);
      ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut(key, std::string(kValueBytes, 'v'))}}), IsOk());
    }
    std::filesystem::remove_all(crashed());
    std::filesystem::copy(dir(), crashed());
  }
  // Returns the names of the logs, in the order in which they were written.
  std::vector<std::string> Logs() {
    std::vector<std::string> logs;
    for (const auto& entry : std::filesystem::directory_iterator(dir())) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) logs.push_back(entry.path().filename());
    }
    std::sort(logs.begin(), logs.end());
    return logs;
  }
  // Returns the first record of this type after `offset`.
  const WalRecord& RecordAfter(size_t offset, WalRecord::Type type) {
    return *std::find_if(records_.begin(), records_.end(),
                         [&](const WalRecord& record) { return record.offset >= offset && record.type == type; });
  }

  // Opens a copy with this damage.
  template <typename Damage>
  absl::StatusOr<size_t> OpenDamaged(const std::string& dir, Damage damage) {
    TempDir copy;
    std::filesystem::copy(dir, copy.path());
    damage(copy.path());
    auto store = OpenRocksDbStore(SmallOptions(copy.path()));
    if (store.ok()) return Dump(**store, FamilyId::kPacked).size();
    EXPECT_TRUE(absl::StrContains(store.status().message(), copy.path())) << store.status();
    return store.status();
  }
  template <typename Damage>
  void ExpectRefused(const std::string& named, Damage damage) {
    const absl::StatusOr<size_t> found = OpenDamaged(dir(), damage);
    if (found.ok()) ADD_FAILURE() << "opened with " << *found << " commits";
    EXPECT_THAT(found.status(), IsStatus(absl::StatusCode::kDataLoss, named));
  }
  void ExpectFlipRefused(size_t byte, int bit) {
    SCOPED_TRACE(absl::StrCat("bit ", bit, " of byte ", byte, " of the log was flipped"));
    ExpectRefused(wal_, [&](const std::string& dir) { FlipBit(dir + "/" + wal_, byte, bit); });
  }

  std::string wal_;
  std::vector<WalRecord> records_;

 private:
  TempDir dir_;
  TempDir crashed_;
};

TEST_F(WalTest, FlippedBitOfACommitIsDataLoss) {
  ForEachSeed(20, [this](Random& random) {
    const WalRecord& record = records_[random.Below(records_.size())];
    ExpectFlipRefused(record.offset + WalRecord::kHeaderBytes + random.Below(record.length),
                      static_cast<int>(random.Below(8)));
  });
}

TEST_F(WalTest, FlippedBitOfAChecksumIsDataLoss) {
  for (const WalRecord* record : {&records_[0], &records_[records_.size() / 2], &records_.back()}) {
    for (size_t byte = 0; byte < 4; ++byte) ExpectFlipRefused(record->offset + byte, static_cast<int>(byte));
  }
}

TEST_F(WalTest, FlippedBitOfALengthIsDataLoss) {
  const WalRecord& in_a_block = RecordAfter(WalRecord::kBlockBytes + 1000, WalRecord::kFull);
  const WalRecord& in_the_last_block = RecordAfter(2 * WalRecord::kBlockBytes + 1000, WalRecord::kFull);
  for (const WalRecord& record : {in_a_block, in_the_last_block, records_.back()}) {
    for (int bit = 0; bit < 16; ++bit) ExpectFlipRefused(record.offset + 4 + bit / 8, bit % 8);
  }
}

TEST_F(WalTest, FlippedBitOfARecordTypeIsDataLoss) {
  for (const WalRecord::Type type : {WalRecord::kFull, WalRecord::kFirst, WalRecord::kLast}) {
    const WalRecord& record = RecordAfter(1000, type);
    for (int bit = 0; bit < 8; ++bit) ExpectFlipRefused(record.offset + 6, bit);
  }
  for (int bit = 0; bit < 8; ++bit) ExpectFlipRefused(records_.back().offset + 6, bit);
}

TEST_F(WalTest, TornTailIsCutOff) {
  const std::string bytes = ReadFile(dir() + "/" + wal_);
  const WalRecord& last = records_.back();
  for (size_t cut = last.offset; cut < last.offset + last.length; cut += 13) {
    SCOPED_TRACE(absl::StrCat("cut at ", cut));
    const auto found =
        OpenDamaged(crashed(), [&](const std::string& dir) { WriteFile(dir + "/" + wal_, bytes.substr(0, cut)); });
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(*found, static_cast<size_t>(kCommits - 1));
  }
}

// A commit that a crash tore stays in its log while later logs follow.
TEST_F(WalTest, TornTailOfAnOlderLogIsNotTakenForDamage) {
  const std::string bytes = ReadFile(dir() + "/" + wal_);
  std::filesystem::remove_all(dir());
  std::filesystem::copy(crashed(), dir());
  WriteFile(dir() + "/" + wal_, bytes.substr(0, bytes.size() - 100));
  for (int life = 1; life < 4; ++life) Live(life, 10);
  EXPECT_EQ(Logs().size(), 4u);
  EXPECT_EQ(Dump(*OpenOrDie(SmallOptions(dir())), FamilyId::kPacked).size(), static_cast<size_t>(kCommits - 1 + 30));
}

// A file system may have made the file longer before a crash, but not written the new part.
TEST_F(WalTest, ZerosAtTheEndAreCutOff) {
  const std::string bytes = ReadFile(dir() + "/" + wal_);
  for (const size_t zeros : {1, 6, 7, 8, 4096, 100'000}) {
    const auto found = OpenDamaged(
        crashed(), [&](const std::string& dir) { WriteFile(dir + "/" + wal_, bytes + std::string(zeros, '\0')); });
    ASSERT_THAT(found, IsOk()) << zeros;
    EXPECT_EQ(*found, static_cast<size_t>(kCommits));
  }
}

TEST_F(WalTest, ZerosInTheMiddleAreDataLoss) {
  const std::string bytes = ReadFile(dir() + "/" + wal_);
  for (const size_t from : {0, 4096, 32768, 65536}) {
    ExpectRefused(wal_, [&](const std::string& dir) {
      WriteFile(dir + "/" + wal_, std::string(bytes).replace(from, 4096, 4096, '\0'));
    });
  }
}

// The first part of a commit may be shorter than the commit's number, or empty.
TEST_F(WalTest, CommitsAtAnyPlaceOfABlockAreFound) {
  const size_t overhead = records_.back().length - kValueBytes + WalRecord::kHeaderBytes;
  size_t commits = kCommits;
  {
    RocksDbOptions options = SmallOptions(dir());
    options.memtable_bytes = 256 << 20;  // keeps the log from being switched
    auto store = OpenOrDie(options);
    ASSERT_THAT(Commit(*store, {{{FamilyId::kCatalog, ""}, OnePut("k", "v")}}), IsOk());
    const std::string wal = dir() + "/" + Logs().back();
    for (size_t left = 0; left <= 24; ++left) {
      const auto commit = [&](size_t value_bytes) {
        const std::string key = absl::StrCat(1, "/", 1000 + commits++);
        ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut(key, std::string(value_bytes, 'v'))}}), IsOk());
      };
      const size_t at = std::filesystem::file_size(wal) % WalRecord::kBlockBytes;
      // A value of 128 bytes or more has the same overhead as the others.
      size_t fill = WalRecord::kBlockBytes - at;
      if (fill < 1000) {
        commit(2000);
        fill = WalRecord::kBlockBytes - std::filesystem::file_size(wal) % WalRecord::kBlockBytes;
      }
      // A length over 16 KiB takes a byte more.
      const size_t value_bytes = fill - left - overhead;
      commit(value_bytes >= 16384 ? value_bytes - 1 : value_bytes);
      EXPECT_EQ(std::filesystem::file_size(wal) % WalRecord::kBlockBytes,
                (WalRecord::kBlockBytes - left) % WalRecord::kBlockBytes);
      commit(300);
    }
  }
  EXPECT_EQ(Dump(*OpenOrDie(SmallOptions(dir())), FamilyId::kPacked).size(), commits);
}

TEST_F(WalTest, MissingLogIsDataLoss) {
  Live(1);
  Live(2);
  const std::vector<std::string> logs = Logs();
  ASSERT_EQ(logs.size(), 3u);
  for (const std::string& log : logs) {
    SCOPED_TRACE(absl::StrCat(log, " of ", logs[0], " to ", logs[2], " is missing"));
    ExpectRefused(".log", [&](const std::string& dir) { std::filesystem::remove(dir + "/" + log); });
  }
  ExpectRefused(".log", [&](const std::string& dir) {
    for (const std::string& log : logs) std::filesystem::remove(dir + "/" + log);
  });
}

TEST_F(WalTest, OnlyLogMissingIsDataLoss) {
  ExpectRefused(".log", [&](const std::string& dir) { std::filesystem::remove(dir + "/" + wal_); });
}

TEST_F(WalTest, LogCutOffIsDataLoss) {
  Live(1);
  Live(2);
  for (const std::string& log : Logs()) {
    const std::string bytes = ReadFile(dir() + "/" + log);
    const std::vector<WalRecord> records = WalRecords(bytes);
    for (const size_t cut : {size_t{0}, records[50].offset, records[50].offset + 20, records.back().offset}) {
      SCOPED_TRACE(absl::StrCat(log, " is cut off at ", cut));
      ExpectRefused(".log", [&](const std::string& dir) { WriteFile(dir + "/" + log, bytes.substr(0, cut)); });
    }
  }
}

TEST_F(WalTest, MissingLogIsDataLossAfterACrashToo) {
  const std::string marks = dir() + "/HOLDFAST-LOGS";
  RocksDbOptions options = SmallOptions(dir());
  options.memtable_bytes = 128 << 10;
  TempDir crashed;
  {
    auto store = OpenOrDie(options);
    const std::string at_open = ReadFile(marks);
    for (int i = 0; i < 5000 && ReadFile(marks) == at_open; ++i) {
      ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "l/"}, OnePut(absl::StrCat(i), std::string(900, 'v'))}}),
                  IsOk());
    }
    ASSERT_NE(ReadFile(marks), at_open) << "no switch of the log was recorded";
    // Waits until the background work is done.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::filesystem::copy(dir(), crashed.path());
  }
  EXPECT_THAT(OpenDamaged(crashed.path(), [](const std::string&) {}), IsOk());
  const auto wals = ReadWals(crashed.path());
  ASSERT_THAT(wals, IsOk());
  EXPECT_FALSE(wals->empty());
  for (const WalFile& wal : *wals) {
    const std::string name = std::filesystem::path(wal.path).filename();
    EXPECT_THAT(OpenDamaged(crashed.path(), [&](const std::string& dir) { std::filesystem::remove(dir + "/" + name); }),
                IsStatus(absl::StatusCode::kDataLoss, ".log"))
        << name;
  }
}

// Sends the standard error of the process to a file that can be read meanwhile.
class StderrTo {
 public:
  explicit StderrTo(const std::string& path) : before_(dup(STDERR_FILENO)) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    EXPECT_GE(dup2(file, STDERR_FILENO), 0);
    close(file);
  }
  StderrTo(const StderrTo&) = delete;
  ~StderrTo() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }

 private:
  const int before_;
};

TEST_F(WalTest, ARecordOfTheLogsThatFailedIsTriedAgainWithoutAnotherSwitch) {
  const std::string marks = dir() + "/HOLDFAST-LOGS";
  RocksDbOptions options = SmallOptions(dir());
  options.memtable_bytes = 128 << 10;
  auto store = OpenOrDie(options);
  const std::string at_open = ReadFile(marks);
  // The directory blocks the path of the new record, so that the record cannot be written.
  ASSERT_TRUE(std::filesystem::create_directory(marks + ".new"));
  // The store's own thread tells nobody about its work, so that the test waits for its line in the log. The line may
  // come at any moment, so that no part of the log may be missed.
  std::string log;
  {
    const StderrTo file(dir() + "/stderr");
    for (int i = 0; i < 5000 && log.find("logs_not_recorded") == log.npos; ++i) {
      ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, "l/"}, OnePut(absl::StrCat(i), std::string(900, 'v'))}}),
                  IsOk());
      log = ReadFile(dir() + "/stderr");
    }
  }
  ASSERT_NE(log.find("logs_not_recorded"), log.npos) << "no switch of the log, or its record did not fail";
  ASSERT_EQ(ReadFile(marks), at_open);
  std::filesystem::remove(marks + ".new");
  for (int i = 0; i < 500 && ReadFile(marks) == at_open; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(ReadFile(marks), at_open);
}

// RocksDB numbers the commits; a log with one commit left out has whole records only.
TEST_F(WalTest, GapInALogIsDataLoss) {
  const std::string bytes = ReadFile(dir() + "/" + wal_);
  // The commit is within a block, so that the records after it stay whole; the hole is filled at the end of the block.
  const WalRecord& left_out = records_[5];
  const size_t end = left_out.offset + WalRecord::kHeaderBytes + left_out.length;
  ExpectRefused(wal_, [&](const std::string& dir) {
    WriteFile(dir + "/" + wal_, bytes.substr(0, left_out.offset) + bytes.substr(end, 3000));
  });
}

// The log is switched every few commits, and families are made and dropped; the check finds no damage.
TEST_F(WalTest, SoundLogsAreNeverRefused) {
  ForEachSeed(3, [](Random& random) {
    TempDir dir;
    RocksDbOptions options = SmallOptions(dir.path());
    options.memtable_bytes = 128 << 10;
    for (int life = 0; life < 6; ++life) {
      auto opened = OpenRocksDbStore(options);
      ASSERT_THAT(opened, IsOk()) << "life " << life;
      Store& store = **opened;
      for (uint64_t steps = random.Below(60); steps > 0; --steps) {
        std::vector<FamilyId> families = {FamilyId::kPacked, FamilyId::kCatalog};
        for (const OwnFamily& own : store.ListOwnFamilies()) families.push_back(own.id);
        if (random.OneIn(5)) ASSERT_THAT(store.CreateFamily(absl::StrCat("own ", random.Bits())), IsOk());
        if (random.OneIn(8) && families.size() > 2) {
          ASSERT_THAT(store.DropFamily(families.back()), IsOk());
          families.pop_back();
        }
        const FamilyId family = random.Pick(families);
        ASSERT_THAT(Commit(store, {{{family, ""}, OnePut(RandomKey(random), std::string(random.Below(20'000), 'v'))}}),
                    IsOk());
        if (random.OneIn(8)) ASSERT_THAT(Commit(store, {}), IsOk());
      }
    }
  });
}

}  // namespace
}  // namespace holdfast::storage
