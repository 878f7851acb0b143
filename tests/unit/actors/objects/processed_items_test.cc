// The processed items that a batch keeps, and their lists.

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

class ProcessedItemsTest : public BatchProcessorTest {};

// --- Retention

TEST_F(ProcessedItemsTest, ProcessedItemsAreRemovedAfterTheirRetention) {
  Start();
  v1::BatchConfig config;
  SetDuration(60'000'000, config.mutable_retention());
  Configure(config);
  Add({"a"});
  Flush();
  node->Advance(absl::Seconds(30));
  Add({"b"});
  Flush();
  node->Advance(absl::Seconds(29));
  EXPECT_THAT(ProcessedTexts(), ElementsAre("a", "b"));
  node->Advance(absl::Seconds(3));
  EXPECT_THAT(ProcessedTexts(), ElementsAre("b"));
  EXPECT_EQ(Status().processed_count(), 1);
  node->Advance(absl::Seconds(30));
  EXPECT_THAT(Processed(), IsEmpty());
  EXPECT_EQ(Status().processed_count(), 0);
  EXPECT_TRUE(recording.Dump()["alarms"].empty());
  EXPECT_EQ(Add({"c"}).first_sequence(), 3) << "sequences go on";
}

TEST_F(ProcessedItemsTest, AShorterRetentionAppliesToWhatIsThere) {
  Start();
  Add(Numbers(0, 2500 % 1000));
  Flush();
  node->Advance(absl::Hours(1));
  v1::BatchConfig config;
  SetDuration(60'000'000, config.mutable_retention());
  Configure(config);
  node->Advance(absl::Seconds(2));
  EXPECT_THAT(Processed(), IsEmpty());
}

TEST_F(ProcessedItemsTest, RetentionRemovesMoreThanFitsOneTurn) {
  Start();
  for (int i = 0; i < 5; ++i) Add(Numbers(i * 1000, 1000));
  EXPECT_EQ(Status().processed_count(), 5000);
  node->Advance(absl::Hours(7 * 24) + absl::Seconds(10));
  EXPECT_EQ(Status().processed_count(), 0);
  EXPECT_THAT(Processed(), IsEmpty());
}

TEST_F(ProcessedItemsTest, RetentionDoesNotHoldUpTheNextBatch) {
  Start();
  Add({"a"});
  Flush();
  const auto added = Add({"b"});
  EXPECT_EQ(FromWire(added.next_flush_time()), clock.Now() + absl::Seconds(5));
  node->Advance(absl::Seconds(5));
  EXPECT_THAT(ProcessedTexts(), ElementsAre("a", "b"));
}

TEST_F(ProcessedItemsTest, TrimRemovesUpToASequenceAndLeavesWhatIsPending) {
  Start();
  Add(Numbers(0, 5));
  Flush();
  Add({"pending"});
  EXPECT_EQ(Trim(0), 0);
  EXPECT_EQ(Trim(2), 2);
  EXPECT_THAT(ProcessedTexts(), ElementsAre("item2", "item3", "item4"));
  EXPECT_EQ(Status().processed_count(), 3);
  EXPECT_EQ(Trim(2), 0);
  EXPECT_EQ(Trim(std::numeric_limits<int64_t>::max()), 3);
  EXPECT_EQ(Status().pending_count(), 1);
  node->Advance(absl::Seconds(5));
  EXPECT_THAT(ProcessedTexts(), ElementsAre("pending"));
}

TEST_F(ProcessedItemsTest, TrimOfMoreThanFitsOneTurn) {
  Start();
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  EXPECT_EQ(Trim(2500), 2500);
  EXPECT_EQ(Status().processed_count(), 500);
  EXPECT_EQ(Processed().front().sequence(), 2501);
}

TEST_F(ProcessedItemsTest, TrimLeavesWhatIsProcessedWhileItWorks) {
  Start();
  for (int i = 0; i < 3; ++i) Add(Numbers(i * 1000, 1000));
  ASSERT_EQ(Status().processed_count(), 3000);
  Add({"pending"});
  v1::TrimProcessedItemsRequest request;
  request.set_up_to_sequence(std::numeric_limits<int64_t>::max());
  auto trim = Send("mail", &BatchProcessor::TrimProcessedItems, request);
  SendFlush();
  node->Settle();
  EXPECT_EQ(trim->response.removed_count(), 3000);
  EXPECT_THAT(ProcessedTexts(), ElementsAre("pending"));
}

TEST_F(ProcessedItemsTest, TrimIsCheckedAndOfNothingStoresNothing) {
  Start();
  v1::TrimProcessedItemsRequest request;
  request.set_up_to_sequence(-1);
  EXPECT_THAT(*Ask("mail", &BatchProcessor::TrimProcessedItems, request)->status, IsInvalid("up_to_sequence"));
  EXPECT_EQ(Trim(100), 0);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

// --- Lists

TEST_F(ProcessedItemsTest, PagesHoldEachItemOnceInOrder) {
  Start();
  Add(Numbers(0, 250));
  Flush();
  v1::ListProcessedItemsRequest request;
  EXPECT_THAT(List(request).items(), SizeIs(100)) << "the default";
  for (int page_size : {1, 7, 100, 249, 250, 251, 5000}) {
    request.Clear();
    request.set_page_size(page_size);
    std::vector<std::string> texts;
    int pages = 0;
    do {
      const auto page = List(request);
      EXPECT_LE(page.items_size(), page_size);
      for (const auto& item : page.items()) texts.push_back(item.item());
      request.set_page_token(page.next_page_token());
      ++pages;
    } while (!request.page_token().empty());
    EXPECT_EQ(texts, Numbers(0, 250)) << page_size;
    EXPECT_EQ(pages, (250 + page_size - 1) / page_size) << "no empty last page";
  }
}

TEST_F(ProcessedItemsTest, APageEndsAtAMebibyte) {
  Start();
  Add(std::vector<std::string>(60, std::string(60'000, 'x')));
  Flush();
  v1::ListProcessedItemsRequest request;
  request.set_page_size(1000);
  size_t items = 0;
  do {
    const auto page = List(request);
    items += static_cast<size_t>(page.items_size());
    EXPECT_GE(page.items_size(), 1);
    EXPECT_LE(page.ByteSizeLong(), (1u << 20) + 70'000);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(items, 60u);
}

TEST_F(ProcessedItemsTest, AConsumerFollowsByTheLastSequenceItSaw) {
  Start();
  Add(Numbers(0, 3));
  Flush();
  v1::ListProcessedItemsRequest request;
  request.set_after_sequence(2);
  auto page = List(request);
  ASSERT_THAT(page.items(), SizeIs(1));
  EXPECT_EQ(page.items(0).sequence(), 3);
  request.set_after_sequence(3);
  EXPECT_THAT(List(request).items(), IsEmpty());
  Add({"next"});
  Flush();
  ASSERT_THAT(List(request).items(), SizeIs(1));
  request.set_after_sequence(std::numeric_limits<int64_t>::max());
  EXPECT_THAT(List(request).items(), IsEmpty());
}

TEST_F(ProcessedItemsTest, ItemsProcessedMeanwhileComeAtTheEndOfTheList) {
  Start();
  Add(Numbers(0, 3));
  Flush();
  v1::ListProcessedItemsRequest request;
  request.set_page_size(2);
  const auto first = List(request);
  Add(Numbers(3, 1));
  Flush();
  Trim(1);
  request.set_page_token(first.next_page_token());
  const auto second = List(request);
  ASSERT_THAT(second.items(), SizeIs(2));
  EXPECT_EQ(second.items(0).item(), "item2");
  EXPECT_EQ(second.items(1).item(), "item3");
}

TEST_F(ProcessedItemsTest, ListsAreChecked) {
  Start();
  Add(Numbers(0, 5));
  Flush();
  const auto refused = [this](const v1::ListProcessedItemsRequest& request) {
    return *Ask("mail", &BatchProcessor::ListProcessedItems, request)->status;
  };
  v1::ListProcessedItemsRequest request;
  request.set_page_size(-1);
  EXPECT_THAT(refused(request), IsInvalid("page_size"));
  request.Clear();
  request.set_after_sequence(-1);
  EXPECT_THAT(refused(request), IsInvalid("after_sequence"));
  request.Clear();
  request.set_page_token("garbled");
  EXPECT_THAT(refused(request), IsInvalid("page_token"));
  request.Clear();
  request.set_page_size(2);
  const std::string token = List(request).next_page_token();
  request.set_page_token(token);
  request.set_after_sequence(1);
  EXPECT_THAT(refused(request), IsInvalid("page_token"));
}

}  // namespace
}  // namespace holdfast::actors
