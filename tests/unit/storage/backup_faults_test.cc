// A failure or a kill at any step of a backup leaves the earlier backups whole, and the archive without a gap.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/storage/backup_life.h"
#include "tests/unit/storage/child.h"
#include "tests/unit/storage/files.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

const Location kA = {FamilyId::kPacked, "a/"};
const Location kB = {FamilyId::kPacked, "b/"};

// Fails at one step.
enum class FailAt { kNowhere, kPrepare, kCreate, kAfterCreate, kVerify, kDelete };
class FailingCopies final : public StoreCopies {
 public:
  FailingCopies(std::unique_ptr<StoreCopies> copies, const FailAt* at) : copies_(std::move(copies)), at_(at) {}

  absl::Status Prepare() override { return *at_ == FailAt::kPrepare ? Failure() : copies_->Prepare(); }
  absl::StatusOr<Copy> Create(const std::string& record, const Watch& watch) override {
    if (*at_ == FailAt::kCreate) return Failure();
    auto copy = copies_->Create(record, watch);
    if (*at_ == FailAt::kAfterCreate) return Failure();
    return copy;
  }
  absl::Status Verify(uint32_t id) override {
    return *at_ == FailAt::kVerify ? absl::DataLossError("failed") : copies_->Verify(id);
  }
  absl::Status Delete(uint32_t id) override { return *at_ == FailAt::kDelete ? Failure() : copies_->Delete(id); }
  std::vector<Copy> List() override { return copies_->List(); }
  absl::Status Restore(uint32_t id, const std::string& data_dir) override { return copies_->Restore(id, data_dir); }
  absl::StatusOr<std::unique_ptr<Store>> OpenCopy(uint32_t id,
                                                  absl::FunctionRef<bool(absl::string_view name)> wanted) override {
    return copies_->OpenCopy(id, wanted);
  }
  void Stop() override { copies_->Stop(); }

 private:
  static absl::Status Failure() { return absl::ResourceExhaustedError("failed"); }

  const std::unique_ptr<StoreCopies> copies_;
  const FailAt* const at_;
};

std::string Value(Store& store, const Location& at) {
  std::string value;
  absl::Status error;
  EXPECT_NE(store.Get(at, "k", ReadTier::kDisk, &value, &error), ReadResult::kError) << error;
  return value;
}

class BackupFaultsTest : public testing::Test {
 protected:
  BackupFaultsTest() {
    options_.data_dir = temp_.path() + "/data";
    options_.directory = temp_.path() + "/backups";
  }
  std::unique_ptr<Life> Open() {
    auto life = Life::Open(options_, &time_);
    EXPECT_THAT(life.status(), IsOk());
    return *std::move(life);
  }
  // Returns the value that is in both places of the restored store.
  std::string Restored(std::optional<absl::Time> at = std::nullopt) {
    const std::string data_dir = absl::StrCat(temp_.path(), "/restored", ++restored_);
    const auto restored = RestoreTo(options_.directory, data_dir, at);
    EXPECT_THAT(restored.status(), IsOk());
    if (!restored.ok()) return "";
    RocksDbOptions rocks = SmallOptions(data_dir);
    rocks.log_above = true;
    const auto store = OpenOrDie(rocks);
    EXPECT_EQ(Value(*store, kA), Value(*store, kB));
    return Value(*store, kA);
  }
  static void PutBoth(Life& life, const std::string& value) {
    ASSERT_THAT(Commit(*life.store, {{kA, OnePut("k", value)}, {kB, OnePut("k", value)}}), IsOk());
  }

  TempDir temp_;
  TestTime time_;
  LifeOptions options_;
  int restored_ = 0;
};

TEST_F(BackupFaultsTest, AFailedStepLeavesTheEarlierBackups) {
  options_.archive = false;
  options_.keep = 1;
  FailAt at = FailAt::kNowhere;
  options_.around = [&at](std::unique_ptr<StoreCopies> copies) {
    return std::make_unique<FailingCopies>(std::move(copies), &at);
  };
  const auto life = Open();
  PutBoth(*life, "first");
  ASSERT_THAT(life->BackUp().status(), IsOk());
  for (FailAt step : {FailAt::kPrepare, FailAt::kCreate, FailAt::kVerify}) {
    at = step;
    PutBoth(*life, "later");
    EXPECT_FALSE(life->BackUp().ok());
    EXPECT_EQ(Restored(), "first") << static_cast<int>(step);
  }
  // A copy that was made and not checked is there, as after a crash; a restore checks it.
  at = FailAt::kAfterCreate;
  EXPECT_FALSE(life->BackUp().ok());
  EXPECT_EQ(Restored(), "later");
  // A backup that could not be removed goes after the next one.
  at = FailAt::kDelete;
  EXPECT_THAT(life->BackUp().status(), IsOk());
  EXPECT_EQ(life->backups->List().size(), 3u);
  at = FailAt::kNowhere;
  PutBoth(*life, "last");
  EXPECT_THAT(life->BackUp().status(), IsOk());
  EXPECT_EQ(life->backups->List().size(), 1u);
  EXPECT_EQ(Restored(), "last");
}

TEST_F(BackupFaultsTest, AFullDiskIsNamed) {
  options_.archive = false;
  std::atomic<uint64_t> free = uint64_t{1} << 40;
  options_.free_bytes = [&free] { return free.load(); };
  const auto life = Open();
  PutBoth(*life, "first");
  ASSERT_THAT(life->BackUp().status(), IsOk());
  free = 1000;
  PutBoth(*life, "later");
  EXPECT_THAT(life->BackUp().status(), IsStatus(absl::StatusCode::kResourceExhausted, options_.directory));
  EXPECT_EQ(Restored(), "first");
  free = uint64_t{1} << 40;
  EXPECT_THAT(life->BackUp().status(), IsOk());
  EXPECT_EQ(Restored(), "later");
}

TEST_F(BackupFaultsTest, ADiskThatFillsUnderABackupEndsIt) {
  options_.archive = false;
  std::atomic<int> asked = 0;
  options_.free_bytes = [&asked] { return ++asked == 1 ? uint64_t{1} << 40 : 1000; };
  const auto life = Open();
  for (int i = 0; i < 8; ++i) PutBoth(*life, std::string(1 << 20, static_cast<char>('a' + i)));
  EXPECT_THAT(life->BackUp().status(), IsStatus(absl::StatusCode::kResourceExhausted, options_.directory));
  EXPECT_EQ(life->backups->List().size(), 0u);
}

// Waits for what another thread is about to do.
bool Soon(const std::function<bool()>& is_true) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!is_true() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  return is_true();
}

TEST_F(BackupFaultsTest, AnArchiveThatCanNotBeWrittenHoldsBackWritesAndLosesNothing) {
  options_.archive_file_bytes = 1;  // a file for each batch
  const auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  PutBoth(*life, "0");
  ASSERT_TRUE(Soon([&] { return life->archiver->marks()->For(0)->archived() == 1; }));
  EXPECT_FALSE(life->store->Overloaded());
  const std::string archive = options_.directory + "/archive";
  fs::rename(archive, temp_.path() + "/away");
  // Three of the log's four files fill up.
  std::string last;
  int n = 0;
  while (!life->store->Overloaded() && n < 100) {
    last = absl::StrCat(++n, std::string(3000, 'x'));
    PutBoth(*life, last);
    ASSERT_THAT(life->store->Fold(), IsOk());
  }
  EXPECT_TRUE(life->store->Overloaded());
  EXPECT_TRUE(life->store->ForExecutor(0)->Overloaded());
  fs::rename(temp_.path() + "/away", archive);
  EXPECT_TRUE(Soon([&] { return life->archiver->marks()->For(0)->archived() == static_cast<BatchNumber>(n + 1); }));
  ASSERT_THAT(life->store->Fold(), IsOk());
  EXPECT_FALSE(life->store->Overloaded());
  EXPECT_EQ(Restored(), last);
}

TEST_F(BackupFaultsTest, ABatchTooLargeForItsLogBeginsALine) {
  const auto life = Open();
  ASSERT_THAT(life->BackUp().status(), IsOk());
  PutBoth(*life, "1");
  const ArchiveLine before = life->archiver->line();
  PutBoth(*life, std::string(200 << 10, 'x'));
  ASSERT_TRUE(Soon([&] { return life->archiver->line() != before; }));
  // The new line calls for a backup.
  ASSERT_TRUE(Soon([&] { return life->backups->List().back().line != before; }));
  time_.Advance();
  PutBoth(*life, "2");
  ASSERT_TRUE(
      Soon([&] { return life->archiver->marks()->For(0)->archived() == life->archiver->marks()->For(0)->durable(); }));
  EXPECT_EQ(Restored(), "2");
}

TEST_F(BackupFaultsTest, WithoutItsArchiveAStoreBeginsALine) {
  auto life = Open();
  const ArchiveLine before = life->archiver->line();
  PutBoth(*life, "1");
  life = nullptr;
  // The same line goes on over a restart ...
  life = Open();
  EXPECT_EQ(life->archiver->line(), before);
  life = nullptr;
  // ... but not if the store was opened without the archive meanwhile,
  options_.archive = false;
  life = Open();
  PutBoth(*life, "2");
  life = nullptr;
  options_.archive = true;
  life = Open();
  const ArchiveLine after = life->archiver->line();
  EXPECT_NE(after, before);
  life = nullptr;
  // or if the archive is gone,
  fs::remove_all(options_.directory + "/archive");
  life = Open();
  EXPECT_NE(life->archiver->line(), after);
  // and a restore starts from a backup of the new one.
  ASSERT_TRUE(Soon([&] {
    const auto backups = life->backups->List();
    return !backups.empty() && backups.back().line == life->archiver->line();
  }));
  PutBoth(*life, "3");
  life = nullptr;
  EXPECT_EQ(Restored(), "3");
}

// Commits pairs of values and makes backups without an end.
const ChildProgram kBackUp("back up", [](const std::vector<std::string>& arguments) {
  LifeOptions options;
  options.data_dir = arguments[0];
  options.directory = arguments[1];
  options.keep = 2;
  options.fold_every = absl::Milliseconds(5);
  TestTime time;
  time.Advance(absl::Now() - time.now());
  auto life = Life::Open(options, &time);
  if (!life.ok()) {
    ChildSays(absl::StrCat("failed ", life.status().ToString()));
    return;
  }
  std::thread commits([&] {
    std::string stored = Value(*(*life)->store, kA);
    int64_t value = 0;
    (void)absl::SimpleAtoi(stored, &value);
    for (;; ++value) {
      time.Advance(absl::Microseconds(100));
      const std::string next = absl::StrCat(value + 1);
      if (!Commit(*(*life)->store, {{kA, OnePut("k", next)}, {kB, OnePut("k", next)}}).ok()) _exit(1);
      ChildSays(absl::StrCat("value ", next));
    }
  });
  for (;;) {
    if (absl::Status status = (*life)->BackUp().status(); !status.ok()) ChildSays("failed " + status.ToString());
    ChildSays("backup");
  }
});

TEST_F(BackupFaultsTest, AKillAtAnyMomentLosesNothing) {
  std::mt19937 random(std::random_device{}());
  int64_t acknowledged = 0;
  int backups = 0;
  for (int round = 0; round < 12; ++round) {
    Child child("back up", {options_.data_dir, options_.directory});
    // The first rounds have a backup for sure, later ones may be killed while they begin.
    for (int lines = static_cast<int>(random() % 300); lines > 0 || (round < 2 && backups <= round); --lines) {
      const auto line = child.ReadLine();
      ASSERT_TRUE(line.has_value());
      ASSERT_EQ(line->find("failed"), std::string::npos) << *line;
      if (line->starts_with("value ")) ASSERT_TRUE(absl::SimpleAtoi(line->substr(6), &acknowledged));
      if (*line == "backup") ++backups;
    }
    child.Kill();
    while (const auto line = child.ReadLine()) {
      if (line->starts_with("value ")) ASSERT_TRUE(absl::SimpleAtoi(line->substr(6), &acknowledged));
    }
    // The archive lacks what was committed in its last interval; the next start has that.
    int64_t restored = 0;
    ASSERT_TRUE(absl::SimpleAtoi(Restored(), &restored)) << "round " << round;
    EXPECT_LE(restored, acknowledged + 1);
  }
  time_.Advance(absl::Now() - time_.now());
  Open();
  int64_t restored = 0;
  ASSERT_TRUE(absl::SimpleAtoi(Restored(), &restored));
  EXPECT_GE(restored, acknowledged);
  EXPECT_EQ(ListArchiveLines(options_.directory)->size(), 1u) << "the archive never had a gap";
}

}  // namespace
}  // namespace holdfast::storage
