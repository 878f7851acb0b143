// A server with several executors, each of which has a part of the objects, looks like one server to a client.

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

constexpr int kObjects = 60;
const absl::Time kPast = absl::FromUnixSeconds(1);

class Executors : public KillBehaviour {
 protected:
  void SetUp() override { Start("actors { executors: 4 }"); }
  static std::string Name(int i) { return absl::StrFormat("o%02d", i); }
};

TEST_F(Executors, ListObjectsHasThoseOfAllInOrder) {
  for (int i = kObjects - 1; i >= 0; --i) ASSERT_TRUE(IsOk(Put(Name(i), "k", Name(i))));
  std::set<uint32_t> shards;
  for (int i = 0; i < kObjects; ++i) shards.insert(Describe(Name(i)).shard() % 4);
  EXPECT_EQ(shards.size(), 4u);
  v1::ListObjectsRequest request;
  request.set_page_size(7);
  int listed = 0;
  do {
    const auto page = Call(&ObjectStub::ListObjects, request);
    ASSERT_TRUE(IsOk(page));
    for (const auto& summary : page->objects()) EXPECT_EQ(summary.object().name(), Name(listed++));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, kObjects);
  for (int i = 0; i < kObjects; ++i) {
    EXPECT_EQ(Get(Name(i), "k"), Name(i));
    EXPECT_EQ(Describe(Name(i)).activation_state(), v1::ACTIVATION_STATE_ACTIVE);
    Passivate(Name(i));
  }
}

TEST_F(Executors, EachAlarmIsDeliveredToOneWatcher) {
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(3);
  Watcher one(channel_, request);
  Watcher other(channel_, request);
  for (int i = 0; i < kObjects; ++i) ASSERT_TRUE(IsOk(SetAlarm(Name(i), kPast)));
  std::map<std::string, int> delivered;
  for (int i = 0; i < kObjects; ++i) {
    WaitUntil([&] { return !one.empty() || !other.empty(); });
    Watcher& ready = one.empty() ? other : one;
    // The limit holds for all executors together.
    EXPECT_LE(ready.size(), 3u);
    const auto delivery = ready.Next();
    EXPECT_EQ(delivery.retry_count(), 0);
    ++delivered[delivery.object().name()];
    ASSERT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery))));
  }
  EXPECT_EQ(delivered.size(), static_cast<size_t>(kObjects));
  EXPECT_TRUE(one.empty() && other.empty());
  for (int i = 0; i < kObjects; ++i) EXPECT_EQ(AlarmOf(Name(i)), std::nullopt);
}

TEST_F(Executors, ManyAlarmsAreDeliveredAtOnce) {
  v1::WatchAlarmsRequest request;
  request.set_max_outstanding(1000);
  for (int i = 0; i < kObjects; ++i) ASSERT_TRUE(IsOk(SetAlarm(Name(i), kPast)));
  Watcher watcher(channel_, request);
  std::vector<Watcher::Delivery> out;
  for (int i = 0; i < kObjects; ++i) out.push_back(watcher.Next());
  Kill();
  SetUp();
  for (const auto& delivery : out) {
    EXPECT_TRUE(IsOk(Call(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery))));
  }
}

TEST_F(Executors, RequestIdsHoldForAll) {
  const auto increment = [&](int i) {
    auto request = For<v1::IncrementRequest>(Name(i));
    request.set_amount(i);
    request.set_request_id("1");
    const auto reply = Call(&v1::CounterService::Stub::Increment, request);
    EXPECT_TRUE(IsOk(reply));
    return reply->value();
  };
  for (int i = 0; i < kObjects; ++i) EXPECT_EQ(increment(i), i);
  for (int i = 0; i < kObjects; ++i) EXPECT_EQ(increment(i), i);
  // The objects are found also with another number of executors, which then have other shards.
  Kill();
  Start("actors { executors: 3 }");
  for (int i = 0; i < kObjects; ++i) EXPECT_EQ(increment(i), i);
}

TEST_F(Executors, AServerThatDrainsEndsItsWatches) {
  v1::WatchAlarmsRequest request;
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 8; ++i) watchers.push_back(std::make_unique<Watcher>(channel_, request));
  for (int i = 0; i < kObjects; ++i) ASSERT_TRUE(IsOk(SetAlarm(Name(i), kPast)));
  WaitUntil([&] { return !watchers[0]->empty() || !watchers[7]->empty(); });
  EXPECT_EQ(server_->Terminate(), 0);
  for (auto& watcher : watchers) {
    EXPECT_TRUE(Fails(watcher->End(), grpc::StatusCode::UNAVAILABLE, "DRAINING"));
  }
}

}  // namespace
}  // namespace holdfast::blackbox
