// When items are processed, which calls are refused, and how a batch is configured.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/objects/batch_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- When items are processed

TEST_F(BatchProcessorTest, ItemsAreProcessedAfterTheDelayOfTheFirst) {
  Start();
  const absl::Time begin = clock.Now();
  auto added = Add({"a", "b"});
  EXPECT_EQ(added.first_sequence(), 1);
  EXPECT_EQ(added.pending_count(), 2);
  EXPECT_EQ(FromWire(added.next_flush_time()), begin + absl::Seconds(5));
  node->Advance(absl::Seconds(3));
  added = Add({"c"});
  EXPECT_EQ(added.first_sequence(), 3);
  EXPECT_EQ(added.pending_count(), 3);
  EXPECT_EQ(FromWire(added.next_flush_time()), begin + absl::Seconds(5)) << "an alarm that is set is kept";
  node->Advance(absl::Seconds(2) - absl::Microseconds(1));
  EXPECT_THAT(Processed(), IsEmpty());
  EXPECT_EQ(Status().pending_count(), 3);
  EXPECT_EQ(FromWire(Status().next_flush_time()), begin + absl::Seconds(5));
  node->Advance(absl::Microseconds(1));
  const auto items = Processed();
  ASSERT_THAT(items, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(items[i].sequence(), static_cast<int64_t>(i + 1));
    EXPECT_EQ(FromWire(items[i].process_time()), begin + absl::Seconds(5));
  }
  EXPECT_THAT(ProcessedTexts(), ElementsAre("a", "b", "c"));
  const auto status = Status();
  EXPECT_EQ(status.pending_count(), 0);
  EXPECT_EQ(status.processed_count(), 3);
  EXPECT_FALSE(status.has_next_flush_time());
}

TEST_F(BatchProcessorTest, TheNextBatchHasADelayOfItsOwn) {
  Start();
  Add({"a"});
  node->Advance(absl::Seconds(60));
  const auto added = Add({"b"});
  EXPECT_EQ(added.first_sequence(), 2);
  EXPECT_EQ(FromWire(added.next_flush_time()), clock.Now() + absl::Seconds(5));
  node->Advance(absl::Seconds(5));
  EXPECT_THAT(ProcessedTexts(), ElementsAre("a", "b"));
}

TEST_F(BatchProcessorTest, SoManyItemsAsMaxItemsAreProcessedAtOnce) {
  Start();
  SetMaxItems(10);
  Add(Numbers(0, 9));
  EXPECT_THAT(Processed(), IsEmpty());
  const auto added = Add(Numbers(9, 1));
  EXPECT_EQ(FromWire(added.next_flush_time()), clock.Now());
  EXPECT_THAT(Processed(), SizeIs(10));
  EXPECT_EQ(Status().pending_count(), 0);
}

TEST_F(BatchProcessorTest, ALowerMaxItemsProcessesWhatIsPendingAtOnce) {
  Start();
  Add(Numbers(0, 9));
  SetMaxItems(9);
  EXPECT_THAT(Processed(), SizeIs(9));
}

TEST_F(BatchProcessorTest, ATurnProcessesSoMuchAtMostAndTheRestAtOnce) {
  Start();
  SetMaxItems(100'000);
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  clock.Advance(absl::Seconds(5));
  node->executor().RunUntilIdle();
  // The first turn has run; its commit has not.
  node->SettleWithoutCommits();
  const auto first = Status();
  EXPECT_EQ(first.pending_count(), 0) << "all in turns that follow each other at once";
  EXPECT_THAT(Processed(), SizeIs(3000));
  const auto items = Processed();
  for (size_t i = 0; i < items.size(); ++i) EXPECT_EQ(items[i].item(), absl::StrCat("item", i));
}

TEST_F(BatchProcessorTest, OtherCallsRunBetweenTheTurnsOfABatch) {
  Start();
  SetMaxItems(100'000);
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  auto flush = SendFlush();
  auto status = Send("mail", &BatchProcessor::GetBatchStatus, v1::GetBatchStatusRequest());
  node->Settle();
  EXPECT_EQ(status->response.pending_count(), 2000);
  EXPECT_EQ(status->response.processed_count(), 1000);
  EXPECT_EQ(flush->response.processed_count(), 3000);
}

TEST_F(BatchProcessorTest, LargeItemsAreProcessedInTurnsOfAboutAMebibyte) {
  Start();
  SetMaxItems(100'000);
  std::vector<std::string> items(100, std::string(60'000, 'x'));
  Add(items);
  auto flush = SendFlush();
  auto status = Send("mail", &BatchProcessor::GetBatchStatus, v1::GetBatchStatusRequest());
  node->Settle();
  EXPECT_LE(status->response.processed_count() * 60'000, (1 << 20)) << "at most 1 MiB a turn";
  EXPECT_EQ(flush->response.processed_count(), 100);
}

// --- Flush

TEST_F(BatchProcessorTest, FlushProcessesWhatIsPending) {
  Start();
  EXPECT_EQ(Flush(), 0);
  EXPECT_EQ(recording.EntryCount(), 0u) << "of an object that was never written";
  Add({"a", "b"});
  EXPECT_EQ(Flush(), 2);
  EXPECT_THAT(ProcessedTexts(), ElementsAre("a", "b"));
  EXPECT_EQ(Flush(), 0);
}

TEST_F(BatchProcessorTest, FlushRepliesWhenAllOfItIsDurable) {
  Start();
  SetMaxItems(100'000);
  Add(Numbers(0, 1000));
  Add(Numbers(1000, 500));
  auto flush = SendFlush();
  node->SettleWithoutCommits();
  EXPECT_FALSE(flush->done());
  node->Settle();
  EXPECT_EQ(flush->response.processed_count(), 1500);
  Start();
  EXPECT_THAT(Processed(), SizeIs(1500));
}

TEST_F(BatchProcessorTest, WhatIsAddedDuringAFlushWaitsForTheAlarm) {
  Start();
  SetMaxItems(100'000);
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  auto flush = SendFlush();
  auto added = SendAdd({"late"});
  node->Settle();
  EXPECT_EQ(flush->response.processed_count(), 3000);
  EXPECT_THAT(Processed(), SizeIs(3000));
  EXPECT_EQ(Status().pending_count(), 1);
  EXPECT_TRUE(Status().has_next_flush_time());
  node->Advance(absl::Seconds(5));
  EXPECT_THAT(Processed(), SizeIs(3001));
}

TEST_F(BatchProcessorTest, WhatTheAlarmProcessesBetweenTheTurnsOfAFlushIsNotItsOwn) {
  Start();
  SetMaxItems(100'000);
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  clock.Advance(absl::Seconds(5));
  auto flush = SendFlush();
  node->Settle();
  EXPECT_GE(flush->response.processed_count(), 1000);
  EXPECT_LE(flush->response.processed_count(), 3000);
  EXPECT_THAT(Processed(), SizeIs(3000));
}

TEST_F(BatchProcessorTest, TwoFlushesAtOnceProcessEachItemOnce) {
  Start();
  SetMaxItems(100'000);
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  auto first = SendFlush();
  auto second = SendFlush();
  node->Settle();
  EXPECT_TRUE(first->ok() && second->ok());
  EXPECT_EQ(first->response.processed_count() + second->response.processed_count(), 3000);
  std::vector<std::string> expected = Numbers(0, 3000);
  EXPECT_EQ(ProcessedTexts(), expected);
}

// --- Refusals

TEST_F(BatchProcessorTest, ItemsAreChecked) {
  Start();
  const auto refused = [this](const std::vector<std::string>& items) {
    auto sent = SendAdd(items);
    node->Settle();
    return *sent->status;
  };
  EXPECT_THAT(refused({}), IsInvalid("items"));
  EXPECT_THAT(refused(Numbers(0, 1001)), IsInvalid("items"));
  EXPECT_THAT(refused({"a", ""}), IsInvalid("items[1]"));
  EXPECT_THAT(refused({"a", "b", std::string(65'537, 'x')}), IsInvalid("items[2]"));
  EXPECT_EQ(recording.EntryCount(), 0u);
  EXPECT_EQ(Add({std::string(65'536, 'x')}).first_sequence(), 1);
  EXPECT_EQ(Add(Numbers(0, 999)).first_sequence(), 2);
}

TEST_F(BatchProcessorTest, PendingItemsAreBoundedInBytesAndTheExcessRefusedAsAWhole) {
  Start();
  SetMaxItems(100'000);
  const std::string large(65'536, 'x');
  // The items have 64 MiB together.
  for (int i = 0; i < 8; ++i) Add(std::vector<std::string>(128, large));
  auto refused = SendAdd({"one more", "and another"});
  node->Settle();
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_FALSE(HasRetryInfo(*refused->status));
  EXPECT_EQ(Status().pending_count(), 1024);
  Start();
  refused = SendAdd({"x"});
  node->Settle();
  EXPECT_FALSE(refused->ok());
}

TEST_F(BatchProcessorTest, PendingItemsAreBoundedInNumber) {
  // The turns that process the batches then share the executor with commits.
  options.alarms.per_second = 500;
  Start();
  SetMaxItems(100'000);
  const std::vector<std::string> items(1000, "x");
  for (int i = 0; i < 99; ++i) Add(items);
  auto most = SendAdd(std::vector<std::string>(999, "x"));
  auto refused = SendAdd({"x", "y"});
  auto last = SendAdd({"x"});
  EXPECT_EQ(most->response.pending_count(), 99'999);
  ASSERT_TRUE(refused->begun);
  EXPECT_EQ(last->response.pending_count(), 100'000);
  node->Settle();
  EXPECT_TRUE(most->ok() && last->ok());
  EXPECT_THAT(*refused->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  node->Advance(absl::Seconds(1));
  EXPECT_EQ(Status().processed_count(), 100'000);
  EXPECT_EQ(Status().pending_count(), 0);
}

// --- Configuration

TEST_F(BatchProcessorTest, TheConfigurationHasDefaults) {
  Start();
  const auto config = Status().config();
  EXPECT_EQ(FromWire(config.delay()), absl::Seconds(5));
  EXPECT_EQ(config.max_items(), 1000);
  EXPECT_EQ(FromWire(config.retention()), absl::Hours(7 * 24));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(BatchProcessorTest, WithoutAMaskTheFieldsThatAreSetChange) {
  Start();
  v1::BatchConfig config;
  SetDuration(2'000'000, config.mutable_delay());
  auto reply = Configure(config);
  EXPECT_EQ(FromWire(reply->response.config().delay()), absl::Seconds(2));
  EXPECT_EQ(reply->response.config().max_items(), 1000);
  v1::BatchConfig other;
  other.set_max_items(7);
  SetDuration(3'600'000'000, other.mutable_retention());
  reply = Configure(other);
  EXPECT_EQ(FromWire(reply->response.config().delay()), absl::Seconds(2));
  EXPECT_EQ(reply->response.config().max_items(), 7);
  EXPECT_EQ(FromWire(reply->response.config().retention()), absl::Hours(1));
  Start();
  EXPECT_EQ(Status().config().SerializeAsString(), reply->response.config().SerializeAsString());
}

TEST_F(BatchProcessorTest, WithAMaskOnlyItsFieldsChangeAndThoseNotSetGoBackToTheirDefault) {
  Start();
  v1::BatchConfig config;
  SetDuration(2'000'000, config.mutable_delay());
  config.set_max_items(7);
  SetDuration(3'600'000'000, config.mutable_retention());
  Configure(config);
  v1::BatchConfig other;
  other.set_max_items(9);
  SetDuration(1'000, other.mutable_retention());
  auto reply = Configure(other, {"delay", "max_items"});
  EXPECT_EQ(FromWire(reply->response.config().delay()), absl::Seconds(5)) << "masked and not set";
  EXPECT_EQ(reply->response.config().max_items(), 9);
  EXPECT_EQ(FromWire(reply->response.config().retention()), absl::Hours(1)) << "not masked";
  reply = Configure(v1::BatchConfig(), {"max_items", "retention"});
  EXPECT_EQ(reply->response.config().max_items(), 1000);
  EXPECT_EQ(FromWire(reply->response.config().retention()), absl::Hours(7 * 24));
}

TEST_F(BatchProcessorTest, TheConfigurationIsCheckedAndAWrongOneChangesNothing) {
  Start();
  const auto duration = [](int64_t seconds, int32_t nanos) {
    google::protobuf::Duration result;
    result.set_seconds(seconds);
    result.set_nanos(nanos);
    return result;
  };
  const auto refused = [this](const v1::BatchConfig& config, const std::vector<std::string>& mask = {}) {
    return *Configure(config, mask)->status;
  };
  v1::BatchConfig config;
  for (const auto& wrong : {duration(0, 0), duration(0, 999'999), duration(-1, 0), duration(366 * 86'400, 1)}) {
    config.Clear();
    *config.mutable_delay() = wrong;
    EXPECT_THAT(refused(config), IsInvalid("config.delay"));
  }
  for (const auto& wrong : {duration(0, 999'999'999), duration(-1, 0), duration(366 * 86'400, 1)}) {
    config.Clear();
    *config.mutable_retention() = wrong;
    EXPECT_THAT(refused(config), IsInvalid("config.retention"));
  }
  for (int wrong : {-1, 100'001}) {
    config.Clear();
    config.set_max_items(wrong);
    EXPECT_THAT(refused(config), IsInvalid("config.max_items"));
  }
  config.Clear();
  SetDuration(1'000'000, config.mutable_delay());
  EXPECT_THAT(refused(config, {"delay", "colour"}), IsInvalid("update_mask"));
  EXPECT_EQ(FromWire(Status().config().delay()), absl::Seconds(5));
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(BatchProcessorTest, ANewDelayAppliesToTheNextAlarm) {
  Start();
  const absl::Time begin = clock.Now();
  Add({"a"});
  v1::BatchConfig config;
  SetDuration(60'000'000, config.mutable_delay());
  Configure(config);
  EXPECT_EQ(FromWire(Status().next_flush_time()), begin + absl::Seconds(5));
  node->Advance(absl::Seconds(5));
  EXPECT_THAT(Processed(), SizeIs(1));
  Add({"b"});
  node->Advance(absl::Seconds(59));
  EXPECT_THAT(Processed(), SizeIs(1));
  node->Advance(absl::Seconds(1));
  EXPECT_THAT(Processed(), SizeIs(2));
}

}  // namespace
}  // namespace holdfast::actors
