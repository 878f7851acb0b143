// RocksDB's write-ahead log, which has the folds, is damaged, cut off or gone: the commit logs give everything back, or
// the start ends with DATA_LOSS. Nothing that was acknowledged is ever missing without a word.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
#include "tests/unit/storage/files.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

// Returns where the last whole record ends that ends before `limit` in a write-ahead log.
size_t WalRecordEnd(const std::string& bytes, size_t limit) {
  constexpr size_t kBlockBytes = 32768;
  constexpr size_t kHeaderBytes = 7;  // checksum, length, type
  constexpr int kFull = 1;
  constexpr int kLast = 4;
  size_t end = 0;
  for (size_t at = 0; at + kHeaderBytes < limit;) {
    if (kBlockBytes - at % kBlockBytes < kHeaderBytes) {
      at += kBlockBytes - at % kBlockBytes;
      continue;
    }
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    const size_t next = at + kHeaderBytes + byte(4) + (size_t{byte(5)} << 8);
    if ((byte(6) == kFull || byte(6) == kLast) && next <= limit) end = next;
    at = next;
  }
  return end;
}

class LostFoldsTest : public testing::Test {
 protected:
  static constexpr int kFolds = 12;
  static constexpr int kCommitsPerFold = 8;

  absl::StatusOr<std::unique_ptr<LoggedStore>> Open(const std::string& dir) {
    RocksDbOptions below = SmallOptions(dir);
    below.log_above = FileCommitLogs::Exist(dir);
    auto store = OpenRocksDbStore(below);
    if (!store.ok()) return store.status();
    LoggedStoreOptions options;
    options.fold_every = absl::InfiniteDuration();
    FileCommitLogOptions logs = {.directory = dir, .run = 1, .segment_bytes = segment_bytes_, .segments_max = 4};
    return LoggedStore::Open(*std::move(store), std::make_unique<FileCommitLogs>(logs), std::move(options));
  }

  // Makes commits and folds, and keeps a copy of the directory as a crash leaves it.
  void Live() {
    auto store = Open(dir_.path());
    ASSERT_THAT(store, IsOk());
    for (int fold = 0; fold < kFolds; ++fold) {
      for (int i = 0; i < kCommitsPerFold; ++i) {
        const std::string key = absl::StrCat(1000 + commits_++);
        ASSERT_THAT(Commit(**store, {{{FamilyId::kPacked, "p/"}, OnePut(key, std::string(value_bytes_, 'v'))}}),
                    IsOk());
      }
      if (fold + 1 < kFolds) ASSERT_THAT((*store)->Fold(), IsOk());
    }
    std::filesystem::copy(dir_.path(), crashed(), std::filesystem::copy_options::recursive);
  }
  std::string crashed() const { return copies_.path() + "/crashed"; }

  static std::vector<std::string> Wals(const std::string& dir) {
    std::vector<std::string> logs;
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) logs.push_back(entry.path());
    }
    std::sort(logs.begin(), logs.end());
    return logs;
  }

  // Opens a copy with this damage. Returns whether everything was there; otherwise the start must have refused.
  template <typename Damage>
  bool EverythingIsThereOrRefused(Damage damage) {
    TempDir copy;
    const std::string dir = copy.path() + "/store";
    std::filesystem::copy(crashed(), dir, std::filesystem::copy_options::recursive);
    for (const std::string& log : Wals(dir)) damage(log);
    const auto store = Open(dir);
    if (!store.ok()) {
      EXPECT_THAT(store.status(), IsStatus(absl::StatusCode::kDataLoss, dir));
      refusal_ = store.status();
      return false;
    }
    EXPECT_EQ(Dump(**store, FamilyId::kPacked).size(), static_cast<size_t>(commits_));
    return true;
  }

  uint64_t segment_bytes_ = 64 << 10;
  size_t value_bytes_ = 900;
  int commits_ = 0;
  absl::Status refusal_;

 private:
  TempDir dir_;
  TempDir copies_;
};

TEST_F(LostFoldsTest, AnyDamageIsHealedOrNoticed) {
  ASSERT_NO_FATAL_FAILURE(Live());
  int healed = 0;
  int refused = 0;
  ForEachSeed(60, [&](Random& random) {
    const bool there = EverythingIsThereOrRefused([&](const std::string& log) {
      const std::string bytes = ReadFile(log);
      switch (random.Below(4)) {
        case 0:
          FlipBit(log, random.Below(bytes.size()), static_cast<int>(random.Below(8)));
          break;
        case 1:
          WriteFile(log, bytes.substr(0, random.Below(bytes.size())));
          break;
        case 2: {
          const size_t from = random.Below(bytes.size());
          const size_t zeros = std::min<size_t>(4096, bytes.size() - from);
          WriteFile(log, std::string(bytes).replace(from, zeros, zeros, '\0'));
          break;
        }
        default:
          WriteFile(log, bytes + std::string(random.Below(5000), '\0'));
      }
    });
    ++(there ? healed : refused);
  });
  // The first folds can be lost for good: the files of their batches were used again.
  EXPECT_GT(healed, 10);
  EXPECT_GT(refused, 3);
}

TEST_F(LostFoldsTest, FoldsWhoseBatchesAreStillLoggedAreHealed) {
  segment_bytes_ = 1 << 20;
  ASSERT_NO_FATAL_FAILURE(Live());
  EXPECT_TRUE(EverythingIsThereOrRefused([](const std::string& log) {
    const std::string bytes = ReadFile(log);
    WriteFile(log, bytes.substr(0, bytes.size() / 2));
  })) << refusal_;
}

// The oldest of several logs is shorter, as if its last commits had never been.
TEST_F(LostFoldsTest, AnOlderWriteAheadLogThatEndsEarlierIsNoticed) {
  value_bytes_ = 150'000;  // so that RocksDB begins several logs
  ASSERT_NO_FATAL_FAILURE(Live());
  ASSERT_GT(Wals(crashed()).size(), 1u);
  const std::string oldest = std::filesystem::path(Wals(crashed()).front()).filename();
  EXPECT_FALSE(EverythingIsThereOrRefused([&](const std::string& log) {
    if (std::filesystem::path(log).filename() != oldest) return;
    const std::string bytes = ReadFile(log);
    WriteFile(log, bytes.substr(0, WalRecordEnd(bytes, bytes.size() / 2)));
  }));
}

// The commits of a version without commit logs are in the write-ahead log alone, until the first start has flushed
// them.
TEST(FirstStart, LeavesNothingInTheWriteAheadLogs) {
  TempDir dir;
  const std::string before = dir.path() + "/before";
  const std::string after = dir.path() + "/after";
  const Location at = {FamilyId::kPacked, "p/"};
  {
    auto store = OpenOrDie(SmallOptions(dir.path() + "/store"));
    ASSERT_THAT(Commit(*store, {{at, OnePut("k", "acknowledged")}}), IsOk());
    std::filesystem::copy(dir.path() + "/store", before, std::filesystem::copy_options::recursive);
  }
  {
    auto store = OpenOrDie(SmallOptions(before));
    std::filesystem::copy(before, after, std::filesystem::copy_options::recursive);
  }
  for (const auto& entry : std::filesystem::directory_iterator(after)) {
    if (entry.path().extension() == ".log") WriteFile(entry.path(), "");
  }
  RocksDbOptions later = SmallOptions(after);
  later.log_above = true;
  EXPECT_EQ(Dump(*OpenOrDie(later), FamilyId::kPacked).size(), 1u);
}

TEST_F(LostFoldsTest, AWriteAheadLogThatIsGoneIsNoticed) {
  ASSERT_NO_FATAL_FAILURE(Live());
  EXPECT_FALSE(EverythingIsThereOrRefused([](const std::string& log) { std::filesystem::remove(log); }));
}

}  // namespace
}  // namespace holdfast::storage
