// Every mutation of every service takes a request id: a request that is sent again has no second effect, and gets the
// same reply.

#include <functional>

#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/blackbox/watcher.h"

namespace holdfast::blackbox {
namespace {

using CounterStub = v1::CounterService::Stub;
using LimiterStub = v1::RateLimiterService::Stub;
using BatchStub = v1::BatchProcessorService::Stub;
using UserStub = v1::UserCacheService::Stub;

class Mutations : public Behaviour {
 protected:
  // Sends the request, lets `meanwhile` change things, and sends the request again, which must get the same reply, byte
  // for byte. Then makes it another request with `change`, which must be refused under the same id.
  template <typename Method, typename Request, typename Change>
  void ExpectOnce(
      Method method, Request request, Change change, const std::function<void()>& meanwhile = [] {}) {
    SCOPED_TRACE(Request::descriptor()->name());
    request.set_request_id("id of " + Request::descriptor()->name());
    const auto first = Call(method, request);
    ASSERT_TRUE(IsOk(first));
    meanwhile();
    const auto again = Call(method, request);
    ASSERT_TRUE(IsOk(again));
    EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
    change(&request);
    EXPECT_TRUE(Fails(Call(method, request).status, grpc::StatusCode::ALREADY_EXISTS, "REQUEST_ID_REUSED"));
  }
  int64_t Value() { return Call(&CounterStub::GetValue, For<v1::GetValueRequest>("o"))->value(); }
  int64_t Pending() { return Call(&BatchStub::GetBatchStatus, For<v1::GetBatchStatusRequest>("o"))->pending_count(); }
};

INSTANTIATE_TEST_SUITE_P(Stores, Mutations, ::testing::Values(StoreKind::kRocksDb, StoreKind::kMemory), StoreName);

TEST_P(Mutations, OfCounters) {
  ExpectOnce(&CounterStub::Increment, For<v1::IncrementRequest>("o"), [](auto* other) { other->set_amount(2); });
  EXPECT_EQ(Value(), 1);
  ExpectOnce(&CounterStub::GetUniqueNumber, For<v1::GetUniqueNumberRequest>("o"),
             [](auto* other) { other->set_request_id("id of IncrementRequest"); });
  EXPECT_EQ(Call(&CounterStub::GetUniqueNumber, For<v1::GetUniqueNumberRequest>("o"))->number(), 1);
  auto reset = For<v1::ResetCounterRequest>("o");
  reset.set_value(7);
  ExpectOnce(
      &CounterStub::ResetCounter, reset, [](auto* other) { other->set_value(8); },
      [&] { Call(&CounterStub::Increment, For<v1::IncrementRequest>("o")); });
  EXPECT_EQ(Value(), 8);
}

TEST_P(Mutations, OfItemsOfABatchOfCounters) {
  v1::BatchIncrementRequest request;
  for (const char* id : {"1", "2", "1"}) {
    *request.add_increments() = For<v1::IncrementRequest>("o");
    request.mutable_increments()->rbegin()->set_request_id(id);
  }
  for (int i = 0; i < 2; ++i) {
    const auto reply = Call(&CounterStub::BatchIncrement, request);
    ASSERT_TRUE(IsOk(reply));
    ASSERT_EQ(reply->results_size(), 3);
    EXPECT_EQ(reply->results(0).response().value(), 1);
    EXPECT_EQ(reply->results(1).response().value(), 2);
    EXPECT_EQ(reply->results(2).response().value(), 1);
  }
  // An item of a batch and a request share their ids.
  auto single = For<v1::IncrementRequest>("o");
  single.set_request_id("2");
  EXPECT_EQ(Call(&CounterStub::Increment, single)->value(), 2);
  EXPECT_EQ(Value(), 2);
}

TEST_P(Mutations, OfItemsOfAStreamOfCounters) {
  CounterStub stub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Timeout());
  auto stream = stub.StreamIncrement(&context);
  for (int i = 0; i < 2; ++i) {
    v1::StreamIncrementRequest request;
    *request.mutable_increment() = For<v1::IncrementRequest>("o");
    request.mutable_increment()->set_request_id("1");
    ASSERT_TRUE(stream->Write(request));
    v1::StreamIncrementResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.result().response().value(), 1) << response.ShortDebugString();
  }
  stream->WritesDone();
  EXPECT_TRUE(IsOk(stream->Finish()));
  EXPECT_EQ(Value(), 1);
}

TEST_P(Mutations, OfRateLimits) {
  auto check = For<v1::CheckLimitRequest>("o");
  check.mutable_check()->set_key("alice");
  check.mutable_check()->set_limit(3);
  check.mutable_check()->mutable_window()->set_seconds(3600);
  ExpectOnce(&LimiterStub::CheckLimit, check, [](auto* other) { other->mutable_check()->set_key("bob"); });
  auto checks = For<v1::CheckLimitsRequest>("o");
  *checks.add_checks() = check.check();
  ExpectOnce(&LimiterStub::CheckLimits, checks, [](auto* other) { other->mutable_checks(0)->set_key("bob"); });
  auto reset = For<v1::ResetLimitRequest>("o");
  reset.set_key("alice");
  ExpectOnce(
      &LimiterStub::ResetLimit, reset, [](auto* other) { other->set_key("bob"); },
      [&] { EXPECT_EQ(Call(&LimiterStub::CheckLimit, check)->remaining(), 2); });
  EXPECT_EQ(Call(&LimiterStub::CheckLimit, check)->remaining(), 1);
}

TEST_P(Mutations, OfBatches) {
  auto configure = For<v1::ConfigureBatchRequest>("o");
  configure.mutable_config()->mutable_delay()->set_seconds(3600);
  configure.mutable_update_mask()->add_paths("delay");
  ExpectOnce(&BatchStub::ConfigureBatch, configure,
             [](auto* other) { other->mutable_config()->mutable_delay()->set_seconds(1800); });
  auto add = For<v1::AddItemsRequest>("o");
  add.add_items("a");
  add.add_items("b");
  ExpectOnce(&BatchStub::AddItems, add, [](auto* other) { other->add_items("c"); });
  EXPECT_EQ(Pending(), 2);
  ExpectOnce(
      &BatchStub::FlushBatch, For<v1::FlushBatchRequest>("o"),
      [](auto* other) { other->set_request_id("id of AddItemsRequest"); },
      [&] { EXPECT_TRUE(IsOk(Call(&BatchStub::AddItems, add))); });
  EXPECT_EQ(Pending(), 2);
  auto trim = For<v1::TrimProcessedItemsRequest>("o");
  trim.set_up_to_sequence(INT64_MAX);
  ExpectOnce(
      &BatchStub::TrimProcessedItems, trim, [](auto* other) { other->set_up_to_sequence(1); },
      [&] { EXPECT_TRUE(IsOk(Call(&BatchStub::FlushBatch, For<v1::FlushBatchRequest>("o")))); });
  EXPECT_EQ(Call(&BatchStub::ListProcessedItems, For<v1::ListProcessedItemsRequest>("o"))->items_size(), 2);
}

TEST_P(Mutations, OfUsers) {
  auto update = For<v1::UpdateUserRequest>("o");
  update.mutable_user()->set_id("u");
  update.mutable_user()->set_name("Alice");
  update.set_allow_missing(true);
  auto later = update;
  later.mutable_user()->set_name("Bob");
  ExpectOnce(
      &UserStub::UpdateUser, update, [](auto* other) { other->mutable_user()->set_name("Carol"); },
      [&] { EXPECT_TRUE(IsOk(Call(&UserStub::UpdateUser, later))); });
  auto get = For<v1::GetUserRequest>("o");
  get.set_id("u");
  EXPECT_EQ(Call(&UserStub::GetUser, get)->user().name(), "Bob");
  auto remove = For<v1::DeleteUserRequest>("o");
  remove.set_id("u");
  ExpectOnce(
      &UserStub::DeleteUser, remove, [](auto* other) { other->set_id("v"); },
      [&] { EXPECT_TRUE(IsOk(Call(&UserStub::UpdateUser, later))); });
  EXPECT_EQ(Call(&UserStub::GetUser, get)->user().name(), "Bob");
}

TEST_P(Mutations, OfEntries) {
  ExpectOnce(
      &ObjectStub::PutEntries, PutRequest("o", {{"a", "1"}}),
      [](auto* other) { other->mutable_entries(0)->set_value("3"); }, [&] { EXPECT_TRUE(IsOk(Put("o", "a", "2"))); });
  EXPECT_EQ(Get("o", "a"), "2");
  auto remove = For<v1::DeleteEntriesRequest>("o");
  remove.add_keys("a");
  ExpectOnce(
      &ObjectStub::DeleteEntries, remove, [](auto* other) { other->add_keys("b"); },
      [&] { EXPECT_TRUE(IsOk(Put("o", "a", "3"))); });
  EXPECT_EQ(Get("o", "a"), "3");
  auto batch = For<v1::ApplyBatchRequest>("o");
  batch.add_preconditions()->set_key_present("a");
  batch.add_steps()->set_delete_key("a");
  ExpectOnce(&ObjectStub::ApplyBatch, batch, [](auto* other) { other->clear_preconditions(); });
  EXPECT_EQ(Get("o", "a"), std::nullopt);
}

TEST_P(Mutations, OfObjects) {
  const auto refill = [&] { EXPECT_TRUE(IsOk(Put("o", "a", "1"))); };
  refill();
  ExpectOnce(
      &ObjectStub::DeleteAll, For<v1::DeleteAllRequest>("o"), [](auto* other) { other->set_keep_alarm(true); }, refill);
  EXPECT_EQ(Get("o", "a"), "1");
  ExpectOnce(
      &ObjectStub::Cleanup, For<v1::CleanupRequest>("o"),
      [](auto* other) { other->set_request_id("id of DeleteAllRequest"); }, refill);
  EXPECT_EQ(Get("o", "a"), "1");
}

TEST_P(Mutations, OfAlarms) {
  const absl::Time time = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + absl::Hours(1);
  auto set = For<v1::SetAlarmRequest>("o");
  *set.mutable_scheduled_time() = ToProto(time);
  ExpectOnce(
      &ObjectStub::SetAlarm, set, [](auto* other) { other->mutable_scheduled_time()->set_nanos(1000); },
      [&] { EXPECT_TRUE(IsOk(SetAlarm("o", time + absl::Hours(1)))); });
  EXPECT_EQ(AlarmOf("o"), time + absl::Hours(1));
  ExpectOnce(
      &ObjectStub::DeleteAlarm, For<v1::DeleteAlarmRequest>("o"),
      [](auto* other) { other->set_request_id("id of SetAlarmRequest"); },
      [&] { EXPECT_TRUE(IsOk(SetAlarm("o", time))); });
  EXPECT_EQ(AlarmOf("o"), time);
}

TEST_P(Mutations, OfDeliveries) {
  Watcher watcher(channel_, v1::WatchAlarmsRequest());
  ASSERT_TRUE(IsOk(SetAlarm("o", absl::FromUnixSeconds(1))));
  const auto delivery = watcher.Next();
  ExpectOnce(&ObjectStub::ExtendAlarmLease, OfDelivery<v1::ExtendAlarmLeaseRequest>(delivery),
             [](auto* other) { other->mutable_lease()->set_seconds(60); });
  // The repeated request gets the same answer after the delivery has ended.
  ExpectOnce(&ObjectStub::AcknowledgeAlarm, Acknowledgement(delivery),
             [](auto* other) { other->set_delivery_token("another"); });
  // A batch with the delivery's token is also done once.
  ASSERT_TRUE(IsOk(SetAlarm("o", absl::FromUnixSeconds(1))));
  auto batch = For<v1::ApplyBatchRequest>("o");
  batch.set_alarm_delivery_token(watcher.Next().delivery_token());
  ExpectOnce(&ObjectStub::ApplyBatch, batch, [](auto* other) { other->clear_alarm_delivery_token(); });
}

}  // namespace
}  // namespace holdfast::blackbox
