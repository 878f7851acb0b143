// The write-ahead log of a killed store. Pages of its last commit are missing, as after a power failure, or it has
// damage that no crash leaves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/rocksdb/wal_reader.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/raw_rocksdb.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

constexpr size_t kPage = 4096;

struct WalCommit {
  size_t begin;
  size_t end;
};

std::vector<WalCommit> CommitsOf(const std::string& log) {
  std::vector<WalCommit> commits;
  for (const WalRecord& record : WalRecords(log)) {
    const bool begins = record.type == WalRecord::kFull || record.type == WalRecord::kFirst;
    if (begins) commits.push_back({record.offset, 0});
    commits.back().end = record.offset + WalRecord::kHeaderBytes + record.length;
  }
  return commits;
}

class WalTornTest : public testing::Test {
 protected:
  // Makes the log of a killed store, with commits whose values have these sizes.
  void Crashed(const std::vector<std::string>& values) {
    live_ = std::make_unique<TempDir>();
    std::filesystem::remove_all(dir());
    auto store = OpenOrDie(SmallOptions(live_->path()));
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut(absl::StrCat(1000 + i), values[i])}}), IsOk());
    }
    std::filesystem::copy(live_->path(), dir());
    ReadLog();
    ASSERT_GE(commits_.size(), values.size());
  }
  void ReadLog() {
    for (const auto& entry : std::filesystem::directory_iterator(dir())) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) wal_ = entry.path().filename();
    }
    log_ = ReadFile(dir() + "/" + wal_);
    commits_ = CommitsOf(log_);
  }
  static std::vector<std::string> Small(int count, size_t bytes) {
    return std::vector<std::string>(static_cast<size_t>(count), std::string(bytes, 'v'));
  }
  std::string dir() const { return crashed_.path() + "/store"; }

  // Opens the store with this log; returns how many commits of the test it has.
  absl::StatusOr<size_t> Open(const std::string& log) {
    TempDir copy;
    std::filesystem::copy(dir(), copy.path());
    WriteFile(copy.path() + "/" + wal_, log);
    auto store = OpenRocksDbStore(SmallOptions(copy.path()));
    if (!store.ok()) return store.status();
    const size_t found = Dump(**store, FamilyId::kPacked).size();
    // Later commits are found again, though the log stays unchanged.
    EXPECT_THAT(Commit(**store, {{{FamilyId::kPacked, ""}, OnePut("after", "v")}}), IsOk());
    store->reset();
    store = OpenRocksDbStore(SmallOptions(copy.path()));
    EXPECT_THAT(store, IsOk());
    if (store.ok()) EXPECT_EQ(Dump(**store, FamilyId::kPacked).size(), found + 1);
    return found;
  }
  void ExpectTorn(const std::string& log, size_t commits) {
    const auto found = Open(log);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(*found, commits);
  }
  void ExpectDamaged(const std::string& log) {
    const auto found = Open(log);
    if (found.ok()) ADD_FAILURE() << "opened with " << *found << " commits";
    EXPECT_THAT(found.status(), IsStatus(absl::StatusCode::kDataLoss, wal_));
  }
  // Returns the log with zeros from `from` to `to`.
  std::string Zeroed(size_t from, size_t to) const {
    std::string log = log_;
    to = std::min(to, log.size());
    return log.replace(from, to - from, to - from, '\0');
  }
  // Returns the log with zeros in this page of the last commit.
  std::string LastCommitWithout(size_t page) const {
    return Zeroed(std::max(page, commits_.back().begin), page + kPage);
  }
  std::vector<size_t> PagesOfLastCommit() const {
    std::vector<size_t> pages;
    for (size_t page = commits_.back().begin / kPage * kPage; page < log_.size(); page += kPage) pages.push_back(page);
    return pages;
  }

  std::string wal_;
  std::string log_;
  std::vector<WalCommit> commits_;

 private:
  std::unique_ptr<TempDir> live_;
  TempDir crashed_;
};

// The store's own commits come before those of the test.
TEST_F(WalTornTest, ZerosFromAnyPageToTheEndAreATornTail) {
  for (const size_t last : {200, 10'000, 50'000}) {
    std::vector<std::string> values = Small(50, 900);
    values.emplace_back(last, 'w');
    Crashed(values);
    const size_t own = commits_.size() - values.size();
    for (size_t page = kPage; page < log_.size(); page += kPage) {
      SCOPED_TRACE(absl::StrCat("last commit of ", last, ", zeros from ", page));
      const auto whole =
          std::count_if(commits_.begin(), commits_.end(), [&](const WalCommit& commit) { return commit.end <= page; });
      ExpectTorn(Zeroed(page, log_.size()), static_cast<size_t>(whole) - own);
    }
  }
}

TEST_F(WalTornTest, AnyMissingPageOfTheLastCommitIsATornTail) {
  for (const size_t last : {5'000, 30'000, 80'000}) {
    for (const size_t before : {3, 33, 36}) {
      std::vector<std::string> values = Small(static_cast<int>(before), 900);
      values.emplace_back(last, 'w');
      Crashed(values);
      for (const size_t page : PagesOfLastCommit()) {
        SCOPED_TRACE(absl::StrCat(before, " commits, then one of ", last, " without page ", page));
        ExpectTorn(LastCommitWithout(page), before);
      }
    }
  }
}

TEST_F(WalTornTest, AnySetOfMissingPagesOfTheLastCommitIsATornTail) {
  ForEachSeed(20, [this](Random& random) {
    const size_t before = random.Below(60);
    std::vector<std::string> values = Small(static_cast<int>(before), 100 + random.Below(2000));
    // The value is long enough for more than one page.
    values.push_back(random.Bytes(150'000) + std::string(kPage, 'w'));
    Crashed(values);
    const std::string whole = log_;
    bool any = false;
    for (const size_t page : PagesOfLastCommit()) {
      if (!random.OneIn(3)) continue;
      log_ = LastCommitWithout(page);
      any = true;
    }
    ExpectTorn(log_, any ? before : before + 1);
  });
}

// A value may be anything: a log in a value is not mistaken for later commits.
TEST_F(WalTornTest, ALogInAValueIsNoCommit) {
  Crashed(Small(30, 900));
  std::vector<std::string> values = Small(30, 900);
  values.push_back(log_ + std::string(2 * kPage, 'w') + log_);
  Crashed(values);
  for (const size_t page : PagesOfLastCommit()) {
    SCOPED_TRACE(absl::StrCat("without page ", page));
    ExpectTorn(LastCommitWithout(page), 30);
  }
}

TEST_F(WalTornTest, ZerosInAValueAreNoMissingPage) {
  std::vector<std::string> values = Small(5, 900);
  values.emplace_back(100'000, '\0');
  values.emplace_back(10, 'v');
  Crashed(values);
  EXPECT_THAT(Open(log_), IsOk());
  const WalCommit& zeros = commits_[commits_.size() - 2];
  for (const size_t at : {zeros.begin + 50, zeros.begin + 50'000, zeros.end - 50}) {
    std::string flipped = log_;
    flipped[at] = 1;
    ExpectDamaged(flipped);
  }
}

TEST_F(WalTornTest, AMissingPageWithCommitsBehindItIsDataLoss) {
  for (const size_t large : {100, 9'000, 70'000}) {
    std::vector<std::string> values = Small(40, 900);
    values.emplace_back(large, 'w');
    for (const std::string& value : Small(3, 60)) values.push_back(value);
    Crashed(values);
    // The last commit is whole.
    for (size_t page = 0; page + kPage <= commits_.back().begin; page += kPage) {
      SCOPED_TRACE(absl::StrCat("a commit of ", large, " and three more, without page ", page));
      ExpectDamaged(Zeroed(page, page + kPage));
    }
  }
}

TEST_F(WalTornTest, AMissingPageOfTheLastCommitButOneIsDataLoss) {
  for (const size_t last : {20, 5'000, 40'000}) {
    std::vector<std::string> values = Small(10, 900);
    values.emplace_back(50'000, 'w');
    values.emplace_back(last, 'x');
    Crashed(values);
    const WalCommit& damaged = commits_[commits_.size() - 2];
    for (size_t page = damaged.begin / kPage * kPage; page + kPage <= damaged.end; page += kPage) {
      SCOPED_TRACE(absl::StrCat("before a commit of ", last, ", without page ", page));
      ExpectDamaged(Zeroed(std::max(page, damaged.begin), page + kPage));
    }
  }
}

TEST_F(WalTornTest, AFlippedBitIsDataLossInTheLastCommitToo) {
  ForEachSeed(30, [this](Random& random) {
    std::vector<std::string> values = Small(static_cast<int>(random.Below(40)), 900);
    values.emplace_back(random.Below(60'000) + 1, 'w');
    Crashed(values);
    const WalCommit& commit = random.OneIn(2) ? commits_.back() : random.Pick(commits_);
    const size_t at = commit.begin + random.Below(commit.end - commit.begin);
    SCOPED_TRACE(absl::StrCat("byte ", at, " of ", log_.size()));
    std::string flipped = log_;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random.Below(8)));
    ExpectDamaged(flipped);
  });
}

// An orderly stop has recorded the last commit, so that no part of it may be missing.
TEST_F(WalTornTest, AMissingPageAfterAnOrderlyStopIsDataLoss) {
  TempDir stopped;
  {
    auto store = OpenOrDie(SmallOptions(stopped.path()));
    ASSERT_THAT(Commit(*store, {{{FamilyId::kPacked, ""}, OnePut("k", std::string(50'000, 'w'))}}), IsOk());
  }
  std::filesystem::copy(stopped.path(), dir());
  ReadLog();
  for (const size_t page : PagesOfLastCommit()) ExpectDamaged(LastCommitWithout(page));
}

TEST_F(WalTornTest, TheReaderSaysWhereTheTornCommitBegins) {
  std::vector<std::string> values = Small(3, 900);
  values.emplace_back(70'000, 'w');
  Crashed(values);
  WalFile wal;
  wal.path = dir() + "/" + wal_;
  ReadWal(&wal);
  EXPECT_THAT(wal.damage, IsOk());
  EXPECT_EQ(wal.torn_at, std::nullopt);
  const size_t begin = commits_.back().begin;
  for (const std::string& torn : {LastCommitWithout(PagesOfLastCommit()[4]), log_.substr(0, begin + 3),
                                  log_.substr(0, begin + 100), log_.substr(0, WalRecord::kBlockBytes),
                                  log_.substr(0, log_.size() - 1), log_.substr(0, begin) + std::string(100, '\0')}) {
    WriteFile(wal.path, torn);
    WalFile read;
    read.path = wal.path;
    ReadWal(&read);
    EXPECT_THAT(read.damage, IsOk());
    EXPECT_EQ(read.torn_at, begin);
    EXPECT_EQ(read.next, wal.next - 1);
  }
}

}  // namespace
}  // namespace holdfast::storage
