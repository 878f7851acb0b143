// Objects that became empty by themselves are seen from outside: they are not listed, do not exist, and answer like new
// objects.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "tests/blackbox/behaviour.h"

namespace holdfast::blackbox {
namespace {

using ::testing::IsEmpty;
using BatchStub = v1::BatchProcessorService::Stub;
using CounterStub = v1::CounterService::Stub;
using LimiterStub = v1::RateLimiterService::Stub;

// The server's own retention of processed items.
constexpr absl::Duration kRetention = absl::Hours(24 * 7);

class Leaving : public ScriptedBehaviour {
 protected:
  std::vector<v1::ObjectSummary> List(const std::string& object_class = "") {
    v1::ListObjectsRequest request;
    request.set_object_class(object_class);
    const auto page = Call(&ObjectStub::ListObjects, request);
    EXPECT_TRUE(IsOk(page));
    return {page->objects().begin(), page->objects().end()};
  }
  bool Listed(const std::string& name) {
    const auto all = List();
    return std::any_of(all.begin(), all.end(), [&](const auto& summary) { return summary.object().name() == name; });
  }
  v1::CheckLimitResponse Check(const std::string& name, int64_t limit, absl::Duration window) {
    auto request = For<v1::CheckLimitRequest>(name);
    request.mutable_check()->set_key("k");
    request.mutable_check()->set_limit(limit);
    *request.mutable_check()->mutable_window() = ToProto(window);
    const auto reply = Call(&LimiterStub::CheckLimit, request);
    EXPECT_TRUE(IsOk(reply));
    return reply.response;
  }
  int64_t Add(const std::string& name) {
    auto request = For<v1::AddItemsRequest>(name);
    request.add_items("item");
    const auto reply = Call(&BatchStub::AddItems, request);
    EXPECT_TRUE(IsOk(reply));
    return reply->first_sequence();
  }
  int64_t PendingOf(const std::string& name) {
    return Call(&BatchStub::GetBatchStatus, For<v1::GetBatchStatusRequest>(name))->pending_count();
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, Leaving, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Leaving, LimitersWhoseKeysFellSilentAreListedNoMore) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Check(absl::StrCat("key", i), 1, absl::Minutes(1)).allowed());
  EXPECT_FALSE(Check("key0", 1, absl::Minutes(1)).allowed());
  EXPECT_EQ(List("RateLimiter").size(), 20u);
  Advance(absl::Minutes(1) + absl::Seconds(2));
  WaitUntil([&] { return List("RateLimiter").empty(); });
  EXPECT_FALSE(Describe("key0", "RateLimiter").exists());
  EXPECT_EQ(Describe("key0", "RateLimiter").placement(), v1::PLACEMENT_PACKED);
  EXPECT_TRUE(Check("key0", 1, absl::Minutes(1)).allowed());
  EXPECT_FALSE(Check("key0", 1, absl::Minutes(1)).allowed());
  EXPECT_TRUE(Describe("key0", "RateLimiter").exists());
}

TEST_P(Leaving, ALimiterIsListedWithTheSizeThatIsLeft) {
  for (int i = 0; i < 30; ++i) Check("l", 100, absl::Minutes(1));
  Check("l", 100, absl::Hours(1));
  Advance(absl::Minutes(1) + absl::Seconds(2));
  WaitUntil([&] { return List("RateLimiter")[0].size_bytes() == Describe("l", "RateLimiter").summary().size_bytes(); });
  EXPECT_GT(List("RateLimiter")[0].size_bytes(), 0);
  EXPECT_LT(List("RateLimiter")[0].size_bytes(), 300);
}

TEST_P(Leaving, ABatchWhoseRetentionIsOverIsListedNoMoreAndItsNumbersGoOn) {
  EXPECT_EQ(Add("b"), 1);
  Advance(absl::Seconds(6));
  WaitUntil([&] { return PendingOf("b") == 0; });
  EXPECT_TRUE(Listed("b"));
  Advance(kRetention + absl::Seconds(2));
  WaitUntil([&] { return !Listed("b"); });
  EXPECT_FALSE(Describe("b", "BatchProcessor").exists());
  EXPECT_EQ(Add("b"), 2);
  EXPECT_TRUE(Listed("b"));
  auto remove = For<v1::CleanupRequest>("b");
  remove.mutable_object()->set_object_class("BatchProcessor");
  EXPECT_TRUE(IsOk(Call(&ObjectStub::Cleanup, remove)));
  EXPECT_EQ(Add("b"), 1);
}

TEST_P(Leaving, ABatchThatWasConfiguredStays) {
  auto configure = For<v1::ConfigureBatchRequest>("b");
  *configure.mutable_config()->mutable_retention() = ToProto(absl::Seconds(10));
  ASSERT_TRUE(IsOk(Call(&BatchStub::ConfigureBatch, configure)));
  Add("b");
  Advance(absl::Seconds(6));
  WaitUntil([&] { return PendingOf("b") == 0; });
  Advance(absl::Minutes(1));
  const auto status = [&] { return Call(&BatchStub::GetBatchStatus, For<v1::GetBatchStatusRequest>("b")); };
  WaitUntil([&] { return status()->processed_count() == 0; });
  Passivate("b", "BatchProcessor");
  EXPECT_TRUE(Listed("b"));
  EXPECT_EQ(status()->config().retention().seconds(), 10);
}

TEST_P(Leaving, AnObjectWhoseLastKeyWasDeletedLeavesWithMemory) {
  ASSERT_TRUE(IsOk(Put("o", "a", "1")));
  auto request = For<v1::DeleteEntriesRequest>("o");
  request.add_keys("a");
  ASSERT_TRUE(IsOk(Call(&ObjectStub::DeleteEntries, request)));
  EXPECT_TRUE(Describe("o").exists());
  Passivate("o");
  WaitUntil([&] { return !Describe("o").exists(); });
  EXPECT_THAT(List(), IsEmpty());
  ASSERT_TRUE(IsOk(Put("o", "a", "2")));
  EXPECT_EQ(Get("o", "a"), "2");
}

TEST_P(Leaving, ACounterAtZeroStays) {
  auto request = For<v1::IncrementRequest>("c");
  ASSERT_TRUE(IsOk(Call(&CounterStub::Increment, request)));
  request.set_amount(-1);
  ASSERT_TRUE(IsOk(Call(&CounterStub::Increment, request)));
  Passivate("c", "Counter");
  WaitUntil([&] { return Describe("c", "Counter").activation_state() == v1::ACTIVATION_STATE_INACTIVE; });
  EXPECT_TRUE(Listed("c"));
}

using LeavingAndKills = ScriptedKillBehaviour;

TEST_F(LeavingAndKills, ALimiterThatHasLeftStaysGoneAndItsFamilyWithIt) {
  auto request = For<v1::CheckLimitRequest>("l");
  request.mutable_check()->set_key("k");
  request.mutable_check()->set_limit(1);
  *request.mutable_check()->mutable_window() = ToProto(absl::Seconds(60));
  ASSERT_TRUE(IsOk(Call(&LimiterStub::CheckLimit, request)));
  WaitUntil([&] { return Describe("l", "RateLimiter").placement() == v1::PLACEMENT_OWN_COLUMN_FAMILY; });
  Advance(absl::Seconds(62));
  WaitUntil([&] { return !Describe("l", "RateLimiter").exists(); });
  Kill();
  Start();
  EXPECT_FALSE(Describe("l", "RateLimiter").exists());
  EXPECT_EQ(Describe("l", "RateLimiter").placement(), v1::PLACEMENT_PACKED);
  EXPECT_EQ(Call(&ObjectStub::ListObjects, v1::ListObjectsRequest())->objects_size(), 0);
}

}  // namespace
}  // namespace holdfast::blackbox
