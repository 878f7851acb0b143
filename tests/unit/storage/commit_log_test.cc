// The commit log in files: what was appended is read again, segments are used again, and every way in which a crash or
// a fault may leave the files ends with the last whole batch, or with DATA_LOSS, and never with a hole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/log/file_commit_log.h"
#include "storage/log/log_files.h"
#include "storage/log/log_format.h"
#include "storage/log/log_reader.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/temp_dir.h"

namespace holdfast::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kSegmentBytes = 64 << 10;
constexpr size_t kBlock = kLogBlockBytes;

class CommitLogTest : public testing::Test {
 protected:
  // The contents of the log; the batches above `folded` are in batches_.
  absl::StatusOr<LogContents> Read(BatchNumber folded = 0) {
    batches_.clear();
    return ReadLog(directory_, 7, folded, [&](BatchNumber batch, int64_t, absl::string_view payload) {
      EXPECT_EQ(batch, folded + 1 + batches_.size());
      batches_.emplace_back(payload);
      return absl::OkStatus();
    });
  }

  // Opens the log as a process does that has folded what was in it.
  std::unique_ptr<FileCommitLog> Open(BatchNumber folded = 0, int segments_max = 4) {
    auto contents = Read(folded);
    EXPECT_TRUE(contents.ok()) << contents.status();
    auto log = FileCommitLog::Open({.directory = directory_,
                                    .log = 7,
                                    .run = ++run_,
                                    .segment_bytes = kSegmentBytes,
                                    .segments_max = segments_max},
                                   *contents);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }

  static void Append(FileCommitLog& log, const std::string& payload) {
    ASSERT_EQ(log.Append(1, payload), absl::OkStatus());
  }

  // Appends small batches, until the log has begun another segment.
  static void FillSegment(FileCommitLog& log) {
    for (uint64_t at = kLogSegmentHeaderBytes; at < kSegmentBytes; at += kBlock) Append(log, "fill");
  }

  std::vector<std::string> Files() {
    std::vector<std::string> files;
    const auto segments = ListLogSegments(directory_);
    for (uint64_t segment : *segments) files.push_back(LogSegmentPath(directory_, segment));
    return files;
  }

  static std::string Load(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void Store(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  TempDir dir_;
  const std::string directory_ = dir_.path() + "/log";
  std::vector<std::string> batches_;
  uint64_t run_ = 1000;
};

TEST_F(CommitLogTest, WhatWasAppendedIsReadAgain) {
  {
    auto log = Open();
    Append(*log, "a");
    Append(*log, std::string(3 * kBlock, 'b'));
    Append(*log, "");
    EXPECT_EQ(log->last(), 3u);
  }
  const auto contents = Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->last, 3u);
  EXPECT_FALSE(contents->closed);
  EXPECT_THAT(batches_, ElementsAre("a", std::string(3 * kBlock, 'b'), ""));
  ASSERT_TRUE(Read(2).ok());
  EXPECT_THAT(batches_, ElementsAre(""));
}

TEST_F(CommitLogTest, ALogThatIsMissingIsEmpty) {
  const auto contents = Read(5);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->last, 5u);
  EXPECT_THAT(batches_, IsEmpty());
}

TEST_F(CommitLogTest, ABatchMayTakeManySegments) {
  const std::string large(3 * kSegmentBytes, 'x');
  {
    auto log = Open(0, 8);
    Append(*log, "a");
    Append(*log, large);
    Append(*log, "z");
  }
  ASSERT_TRUE(Read().ok());
  EXPECT_THAT(batches_, ElementsAre("a", large, "z"));
}

TEST_F(CommitLogTest, ABatchThatTheLogCanNeverHoldIsRefusedAndTheLogGoesOn) {
  const uint64_t bytes_max = 3 * (kSegmentBytes - kLogSegmentHeaderBytes - kLogRecordHeaderBytes);
  {
    auto log = Open(0, 4);
    Append(*log, "a");
    EXPECT_EQ(log->Append(1, std::string(bytes_max + 1, 'x')).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(log->last(), 1u);
    Append(*log, std::string(bytes_max, 'y'));
  }
  ASSERT_TRUE(Read().ok());
  EXPECT_THAT(batches_, ElementsAre("a", std::string(bytes_max, 'y')));
}

TEST_F(CommitLogTest, RunsFollowOnEachOther) {
  for (int run = 0; run < 5; ++run) {
    auto log = Open(static_cast<BatchNumber>(2 * run));
    Append(*log, absl::StrCat("a", run));
    Append(*log, absl::StrCat("b", run));
    if (run % 2 == 0) ASSERT_EQ(log->Close(), absl::OkStatus());
  }
  const auto contents = Read(8);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(contents->closed);
  EXPECT_THAT(batches_, ElementsAre("a4", "b4"));
}

TEST_F(CommitLogTest, SegmentsAreUsedAgain) {
  {
    auto log = Open(0, 3);
    for (int i = 0; i < 20; ++i) {
      log->Trim(log->last());
      FillSegment(*log);
    }
  }
  EXPECT_LE(Files().size(), 3u);
  const auto contents = Read(266);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->last, 280u);
  EXPECT_EQ(batches_.size(), 14u);
}

TEST_F(CommitLogTest, AnAppendWaitsWhileAllSegmentsAreFull) {
  auto log = Open(0, 2);
  FillSegment(*log);
  FillSegment(*log);
  std::thread folds([&] { log->Trim(1 + kSegmentBytes / kBlock); });
  Append(*log, "waited");
  folds.join();
  EXPECT_EQ(Files().size(), 2u);
}

TEST_F(CommitLogTest, AnAppendThatWaitsEndsWhenFoldsHaveFailed) {
  auto log = Open(0, 2);
  FillSegment(*log);
  FillSegment(*log);
  std::thread folds([&] { log->Fail(absl::InternalError("the fold of the test failed")); });
  EXPECT_EQ(log->Append(1, "waits"), absl::InternalError("the fold of the test failed"));
  folds.join();
}

TEST_F(CommitLogTest, WhileTheDiskHasLittleRoomNoFileIsAddedUnlessItMustBe) {
  auto contents = Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  std::atomic<bool> keep_room = false;
  auto opened = FileCommitLog::Open({.directory = directory_,
                                     .log = 7,
                                     .run = ++run_,
                                     .segment_bytes = kSegmentBytes,
                                     .segments_max = 8,
                                     .keep_room = [&] { return keep_room.load(); }},
                                    *contents);
  ASSERT_TRUE(opened.ok()) << opened.status();
  FileCommitLog& log = **opened;
  keep_room = true;
  FillSegment(log);
  FillSegment(log);
  ASSERT_EQ(Files().size(), 2u);
  std::thread folds([&] { log.Trim(1 + kSegmentBytes / kBlock); });
  Append(log, "waited");
  folds.join();
  EXPECT_EQ(Files().size(), 2u);
  // No fold makes room for a batch in the midst of it.
  log.Trim(log.last());
  Append(log, std::string(4 * kSegmentBytes, 'x'));
  EXPECT_GT(Files().size(), 4u);
}

TEST_F(CommitLogTest, ASmallerLogLosesItsOldestFiles) {
  {
    auto log = Open(0, 8);
    for (int i = 0; i < 6; ++i) FillSegment(*log);
  }
  EXPECT_GE(Files().size(), 6u);
  const BatchNumber last = Read()->last;
  Append(*Open(last, 3), "goes on");
  EXPECT_EQ(Files().size(), 3u);
  ASSERT_TRUE(Read(last).ok());
  EXPECT_THAT(batches_, ElementsAre("goes on"));
}

TEST_F(CommitLogTest, ASegmentThatWasNotPreparedToTheEndIsPreparedAgain) {
  {
    auto log = Open();
    for (int i = 0; i < 3; ++i) FillSegment(*log);
  }
  const std::vector<uint64_t> segments = *ListLogSegments(directory_);
  const LogSegmentHeader header = {.log = 7, .run = ++run_, .segment = segments.back() + 1};
  const std::string path = LogSegmentPath(directory_, header.segment);
  // The first try has renamed the file, which is shorter than the setting says by now.
  std::filesystem::rename(LogSegmentPath(directory_, segments.front()), path);
  std::filesystem::resize_file(path, kSegmentBytes / 2);
  const auto file = PrepareLogSegment(directory_, header, segments.front(), kSegmentBytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(std::filesystem::file_size(path), kSegmentBytes);
  EXPECT_EQ(ParseLogSegmentHeader(Load(path)), header);
  // A new file that could not be made whole is no file.
  const LogSegmentHeader next = {.log = 7, .run = run_, .segment = header.segment + 1};
  std::filesystem::create_directory(LogSegmentPath(directory_, next.segment));
  EXPECT_EQ(PrepareLogSegment(directory_, next, 0, kSegmentBytes).status().code(), absl::StatusCode::kUnavailable);
}

// The log has no batch above the store's mark, and shows the loss all the same.
TEST_F(CommitLogTest, AStoreThatHasLostAFoldIsFound) {
  {
    auto log = Open();
    for (int i = 0; i < 5; ++i) Append(*log, "x");
  }
  Open(5);
  const absl::Status lost = Read(3).status();
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(lost.message(), Files()[0] + ": the store held batch 5 and now holds none after 3");
}

TEST_F(CommitLogTest, ASegmentThatIsMissingIsFound) {
  {
    auto log = Open();
    for (int i = 0; i < 2; ++i) FillSegment(*log);
    Append(*log, "last");
  }
  ASSERT_EQ(Files().size(), 3u);
  const std::string middle = Files()[1];
  std::filesystem::rename(middle, directory_ + "/away");
  EXPECT_EQ(Read().status().message(), middle + ": is missing");
  std::filesystem::rename(directory_ + "/away", middle);
  const std::string first = Files()[0];
  std::filesystem::remove(first);
  EXPECT_THAT(Read().status().message(), HasSubstr("batch 1 is damaged or missing, and batch 15 is behind it"));
}

TEST_F(CommitLogTest, AFileOfAnotherPlaceIsFound) {
  {
    auto log = Open();
    FillSegment(*log);
    FillSegment(*log);
  }
  std::filesystem::copy_file(Files()[0], Files()[1], std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Read().status().message(), HasSubstr("is segment 1"));
  EXPECT_THAT(ReadLog(directory_, 8, 0, [](BatchNumber, int64_t, absl::string_view) { return absl::OkStatus(); })
                  .status()
                  .message(),
              HasSubstr("is of log 7"));
}

// A log of three batches, the second of which has three blocks. `closed`: with the mark of an orderly end.
class DamagedLogTest : public CommitLogTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    auto log = Open();
    Append(*log, "first");
    Append(*log, std::string(2 * kBlock + 100, 's'));
    Append(*log, "third");
    if (GetParam()) ASSERT_EQ(log->Close(), absl::OkStatus());
    path_ = Files()[0];
    whole_ = Load(path_);
  }

  // The number of the batch that the byte belongs to: 0 for the header, 4 for the mark of the end, 5 behind all.
  static int BatchAt(size_t at) {
    const size_t block = at / kBlock;
    return block < 2 ? 0 : block == 2 ? 1 : block < 6 ? 2 : block == 6 ? 3 : block == 7 ? 4 : 5;
  }
  // Bytes that are no part of the record: the zeros at the end of its last block.
  static bool IsPadding(size_t at) {
    const size_t in_block = at % kBlock;
    switch (at / kBlock) {
      case 2:
      case 6:
        return in_block >= kLogRecordHeaderBytes + 5;
      case 5:
        return in_block >= kLogRecordHeaderBytes + 100;
      case 7:
        return in_block >= kLogRecordHeaderBytes;
      default:
        return false;
    }
  }
  bool closed() const { return GetParam(); }

  // Reads the log with these bytes in its only file, behind batch `folded`.
  absl::StatusOr<LogContents> ReadBytes(const std::string& bytes, BatchNumber folded = 0) {
    batches_.clear();
    LogReader reader(7, folded, [&](BatchNumber, int64_t, absl::string_view payload) {
      batches_.emplace_back(payload);
      return absl::OkStatus();
    });
    if (absl::Status status = reader.Read(path_, 1, bytes); !status.ok()) return status;
    return LogContents{.last = reader.last(), .closed = reader.closed(), .segments = {1}};
  }

  // Expects what a log with these bytes reads as, if batch `damaged` and nothing else is damaged.
  void Expect(const std::string& bytes, int damaged, const std::string& how) {
    const auto contents = ReadBytes(bytes);
    const int end = closed() ? 4 : 3;
    if (damaged == 0 || damaged > end) {
      ASSERT_TRUE(contents.ok()) << how << ": " << contents.status();
      EXPECT_EQ(contents->last, 3u) << how;
    } else if (damaged == end) {
      ASSERT_TRUE(contents.ok()) << how << ": " << contents.status();
      EXPECT_EQ(contents->last, closed() ? 3u : 2u) << how;
      EXPECT_FALSE(contents->closed) << how;
    } else {
      EXPECT_EQ(contents.status().code(), absl::StatusCode::kDataLoss) << how;
      EXPECT_THAT(contents.status().message(), HasSubstr(path_)) << how;
    }
  }

  std::string path_;
  std::string whole_;
};

INSTANTIATE_TEST_SUITE_P(Ends, DamagedLogTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Closed" : "Open"; });

TEST_P(DamagedLogTest, OneFlippedBitAtEveryByte) {
  for (size_t at = 0; at < 9 * kBlock; ++at) {
    if (IsPadding(at)) continue;
    std::string bytes = whole_;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    Expect(bytes, BatchAt(at), absl::StrCat("a bit of byte ", at));
    if (HasFailure()) return;
  }
}

TEST_P(DamagedLogTest, APageOfZeros) {
  for (size_t block = 2; block < 9; ++block) {
    std::string bytes = whole_;
    bytes.replace(block * kBlock, kBlock, kBlock, '\0');
    Expect(bytes, BatchAt(block * kBlock), absl::StrCat("block ", block));
  }
}

// The file is shorter, which a crash does not leave: its size never changes.
TEST_P(DamagedLogTest, CutOffAtEveryByteItEndsWithTheLastWholeBatch) {
  for (size_t at = kLogSegmentHeaderBytes; at < 8 * kBlock; ++at) {
    const auto contents = ReadBytes(whole_.substr(0, at));
    ASSERT_TRUE(contents.ok()) << at << ": " << contents.status();
    const size_t first = 2 * kBlock + kLogRecordHeaderBytes + 5;
    const size_t second = 5 * kBlock + kLogRecordHeaderBytes + 100;
    const size_t third = 6 * kBlock + kLogRecordHeaderBytes + 5;
    ASSERT_EQ(contents->last, at < first ? 0u : at < second ? 1u : at < third ? 2u : 3u) << at;
  }
}

TEST_P(DamagedLogTest, DamageToWhatTheStoreHoldsIsNoLoss) {
  std::string bytes = whole_;
  bytes[2 * kBlock + 50] ^= 1;
  bytes[4 * kBlock] ^= 1;
  const auto contents = ReadBytes(bytes, 2);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(batches_, ElementsAre("third"));
  EXPECT_EQ(contents->closed, closed());
}

// Every set of blocks of the last batch may be missing after a power failure, also if the batch goes over two segments.
TEST_F(CommitLogTest, ATornBatchOverTwoSegmentsIsTheEnd) {
  const std::string large(13 * kBlock, 'l');
  {
    auto log = Open();
    for (int i = 0; i < 8; ++i) Append(*log, "small");
    Append(*log, large);
  }
  ASSERT_TRUE(Read().ok());
  ASSERT_EQ(batches_.size(), 9u);
  const std::string first = Load(Files()[0]);
  const std::string second = Load(Files()[1]);
  const std::string zeros(kBlock, '\0');
  ForEachSeed(200, [&](Random& random) {
    std::string torn_first = first;
    std::string torn_second = second;
    bool torn = false;
    for (size_t block = 10; block < 16; ++block) {
      if (!random.OneIn(3)) continue;
      torn_first.replace(block * kBlock, kBlock, zeros);
      torn = true;
    }
    for (size_t block = 2; block < 9; ++block) {
      if (!random.OneIn(3)) continue;
      torn_second.replace(block * kBlock, kBlock, zeros);
      torn = true;
    }
    Store(Files()[0], torn_first);
    Store(Files()[1], torn_second);
    const auto contents = Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->last, torn ? 8u : 9u);
  });
}

// A process that ended at any moment, in any number of runs: what is read is what was appended, behind what was folded.
TEST_F(CommitLogTest, RandomRunsAppendsFoldsAndTornEnds) {
  ForEachSeed(15, [this](Random& random) {
    std::filesystem::remove_all(directory_);
    std::vector<std::string> appended;
    BatchNumber folded = 0;
    for (uint64_t runs = 1 + random.Below(6); runs > 0; --runs) {
      // The start replays what is in the log, and folds it.
      const auto contents = Read(folded);
      ASSERT_TRUE(contents.ok()) << contents.status();
      ASSERT_EQ(contents->last, appended.size());
      folded = contents->last;
      auto log = Open(folded, 3 + static_cast<int>(random.Below(3)));
      for (uint64_t steps = random.Below(60); steps > 0; --steps) {
        if (random.OneIn(5)) {
          folded = folded + random.Below(log->last() - folded + 1);
          log->Trim(folded);
        } else if (appended.size() - folded < 5) {
          const size_t bytes = random.OneIn(4) ? random.Below(3 * kBlock) : random.Below(100);
          appended.push_back(std::string(bytes, static_cast<char>('a' + random.Below(26))));
          Append(*log, appended.back());
        }
      }
      if (random.OneIn(3)) {
        ASSERT_EQ(log->Close(), absl::OkStatus());
      }
      log.reset();
      const auto left = Read(folded);
      ASSERT_TRUE(left.ok()) << left.status();
      ASSERT_EQ(batches_, std::vector<std::string>(appended.begin() + static_cast<int64_t>(folded), appended.end()));
    }
  });
}

TEST(LogFormat, BytesOfClientsAreNoRecord) {
  std::string record;
  AppendLogRecord({.run = 5, .segment = 1, .batch = 1, .payload = "x"}, &record);
  EXPECT_TRUE(ParseLogRecord(record, 5, 1).has_value());
  EXPECT_FALSE(ParseLogRecord(record, 6, 1).has_value());
  EXPECT_FALSE(ParseLogRecord(record, 5, 2).has_value());
  EXPECT_FALSE(ParseLogRecord("", 0, 0).has_value());
}

TEST(LogFormat, AHeaderIsReadFromEitherBlock) {
  const LogSegmentHeader header = {.log = 1, .run = 2, .segment = 3, .folded = 4, .time_us = 5};
  std::string bytes = EncodeLogSegmentHeader(header);
  EXPECT_EQ(ParseLogSegmentHeader(bytes), header);
  bytes[9] ^= 1;
  EXPECT_EQ(ParseLogSegmentHeader(bytes), header);
  bytes[kBlock + 9] ^= 1;
  EXPECT_EQ(ParseLogSegmentHeader(bytes), std::nullopt);
}

TEST_F(CommitLogTest, ASegmentThatWasRenamedAndHasNoNewHeaderYetHasNoRecords) {
  {
    auto log = Open();
    for (int i = 0; i < 3; ++i) FillSegment(*log);
  }
  const std::vector<uint64_t> segments = *ListLogSegments(directory_);
  const auto before = Read();
  ASSERT_TRUE(before.ok()) << before.status();
  const BatchNumber folded = before->last - 1;
  std::filesystem::rename(LogSegmentPath(directory_, segments.front()),
                          LogSegmentPath(directory_, segments.back() + 1));
  const auto after = Read(folded);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->last, before->last);
  Append(*Open(before->last), "goes on");
}

}  // namespace
}  // namespace holdfast::storage
