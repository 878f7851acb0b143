// Every RPC is called once, in the way of a client; and the data survive a kill.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using ::testing::ElementsAre;

template <typename Request>
Request For(const std::string& object) {
  Request request;
  request.mutable_object()->set_name(object);
  return request;
}

class ServicesTest : public ::testing::Test {
 protected:
  void Connect() {
    const auto channel = server_->NewChannel();
    counters_ = v1::CounterService::NewStub(channel);
    limits_ = v1::RateLimiterService::NewStub(channel);
    batches_ = v1::BatchProcessorService::NewStub(channel);
    users_ = v1::UserCacheService::NewStub(channel);
    objects_ = v1::ObjectService::NewStub(channel);
  }
  void SetUp() override {
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data");
    Connect();
  }
  void KillAndRestart() {
    server_->Kill();
    SetUp();
  }
  int64_t Increment(const std::string& name, int64_t amount) {
    auto request = For<v1::IncrementRequest>(name);
    request.set_amount(amount);
    const auto reply = Invoke(*counters_, &v1::CounterService::Stub::Increment, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return reply->value();
  }
  int64_t Unique(const std::string& name) {
    const auto reply =
        Invoke(*counters_, &v1::CounterService::Stub::GetUniqueNumber, For<v1::GetUniqueNumberRequest>(name));
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return reply->number();
  }
  int64_t Value(const std::string& name) {
    return Invoke(*counters_, &v1::CounterService::Stub::GetValue, For<v1::GetValueRequest>(name))->value();
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
  std::unique_ptr<v1::RateLimiterService::Stub> limits_;
  std::unique_ptr<v1::BatchProcessorService::Stub> batches_;
  std::unique_ptr<v1::UserCacheService::Stub> users_;
  std::unique_ptr<v1::ObjectService::Stub> objects_;
};

TEST_F(ServicesTest, CounterKeepsItsValueThroughAKill) {
  EXPECT_EQ(Increment("visits", 1), 1);
  EXPECT_EQ(Increment("visits", 41), 42);
  EXPECT_EQ(Increment("visits", 0), 42);
  KillAndRestart();
  EXPECT_EQ(Value("visits"), 42);
  auto reset = For<v1::ResetCounterRequest>("visits");
  reset.set_value(-7);
  EXPECT_EQ(Invoke(*counters_, &v1::CounterService::Stub::ResetCounter, reset)->previous_value(), 42);
  EXPECT_EQ(Value("visits"), -7);
}

TEST_F(ServicesTest, UniqueNumbersBeginAtZeroAndAreNeverTheSame) {
  EXPECT_EQ(Unique("ids"), 0);
  EXPECT_EQ(Unique("ids"), 1);
  Increment("ids", 100);
  Invoke(*counters_, &v1::CounterService::Stub::ResetCounter, For<v1::ResetCounterRequest>("ids"));
  KillAndRestart();
  EXPECT_EQ(Unique("ids"), 2);
}

TEST_F(ServicesTest, BatchIncrementAnswersEachItemOnItsOwn) {
  Increment("full", INT64_MAX);
  v1::BatchIncrementRequest request;
  *request.add_increments() = For<v1::IncrementRequest>("a");
  *request.add_increments() = For<v1::IncrementRequest>("full");
  *request.add_increments() = For<v1::IncrementRequest>("");
  *request.add_increments() = For<v1::IncrementRequest>("a");
  const auto reply = Invoke(*counters_, &v1::CounterService::Stub::BatchIncrement, request);
  ASSERT_TRUE(reply.ok());
  ASSERT_EQ(reply->results_size(), 4);
  EXPECT_EQ(reply->results(0).response().value(), 1);
  EXPECT_EQ(reply->results(1).error().code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(reply->results(2).error().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(reply->results(3).response().value(), 2);
  EXPECT_EQ(Value("full"), INT64_MAX);
}

TEST_F(ServicesTest, ALimitHoldsThroughAKill) {
  auto request = For<v1::CheckLimitRequest>("api");
  request.mutable_check()->set_key("alice");
  request.mutable_check()->set_limit(3);
  request.mutable_check()->mutable_window()->set_seconds(3600);
  for (int i = 0; i < 3; ++i) {
    const auto reply = Invoke(*limits_, &v1::RateLimiterService::Stub::CheckLimit, request);
    EXPECT_TRUE(reply->allowed());
    EXPECT_EQ(reply->remaining(), 2 - i);
  }
  KillAndRestart();
  const auto denied = Invoke(*limits_, &v1::RateLimiterService::Stub::CheckLimit, request);
  ASSERT_TRUE(denied.ok());
  EXPECT_FALSE(denied->allowed());
  EXPECT_GT(denied->retry_after().seconds(), 3500);

  auto both = For<v1::CheckLimitsRequest>("api");
  *both.add_checks() = request.check();
  *both.add_checks() = request.check();
  both.mutable_checks(1)->set_key("bob");
  const auto reply = Invoke(*limits_, &v1::RateLimiterService::Stub::CheckLimits, both);
  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply->allowed());
  EXPECT_FALSE(reply->results(0).allowed());
  EXPECT_TRUE(reply->results(1).allowed());
  EXPECT_EQ(reply->results(1).remaining(), 3);

  auto reset = For<v1::ResetLimitRequest>("api");
  reset.set_key("alice");
  EXPECT_TRUE(Invoke(*limits_, &v1::RateLimiterService::Stub::ResetLimit, reset).ok());
  EXPECT_TRUE(Invoke(*limits_, &v1::RateLimiterService::Stub::CheckLimit, request)->allowed());
}

TEST_F(ServicesTest, ItemsAreProcessedByTheAlarmAlsoAfterAKill) {
  auto configure = For<v1::ConfigureBatchRequest>("mail");
  configure.mutable_config()->mutable_delay()->set_nanos(300'000'000);
  ASSERT_TRUE(Invoke(*batches_, &v1::BatchProcessorService::Stub::ConfigureBatch, configure).ok());
  auto add = For<v1::AddItemsRequest>("mail");
  add.add_items("one");
  add.add_items("two");
  const auto added = Invoke(*batches_, &v1::BatchProcessorService::Stub::AddItems, add);
  EXPECT_EQ(added->first_sequence(), 1);
  EXPECT_EQ(added->pending_count(), 2);
  KillAndRestart();
  // The alarm comes due by itself; the test polls with calls.
  v1::GetBatchStatusResponse status;
  for (int i = 0; i < 100'000 && status.processed_count() < 2; ++i) {
    status = Invoke(*batches_, &v1::BatchProcessorService::Stub::GetBatchStatus, For<v1::GetBatchStatusRequest>("mail"))
                 .response;
  }
  EXPECT_EQ(status.processed_count(), 2);
  EXPECT_EQ(status.pending_count(), 0);
  EXPECT_FALSE(status.has_next_flush_time());
  const auto list = Invoke(*batches_, &v1::BatchProcessorService::Stub::ListProcessedItems,
                           For<v1::ListProcessedItemsRequest>("mail"));
  ASSERT_EQ(list->items_size(), 2);
  EXPECT_EQ(list->items(0).item(), "one");
  EXPECT_EQ(list->items(1).sequence(), 2);
  auto trim = For<v1::TrimProcessedItemsRequest>("mail");
  trim.set_up_to_sequence(1);
  EXPECT_EQ(Invoke(*batches_, &v1::BatchProcessorService::Stub::TrimProcessedItems, trim)->removed_count(), 1);
}

TEST_F(ServicesTest, UsersMergeFieldByField) {
  auto update = For<v1::UpdateUserRequest>("cache");
  update.mutable_user()->set_id("u1");
  update.mutable_user()->set_name("Ada");
  EXPECT_EQ(Invoke(*users_, &v1::UserCacheService::Stub::UpdateUser, update).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
  update.set_allow_missing(true);
  const auto created = Invoke(*users_, &v1::UserCacheService::Stub::UpdateUser, update);
  ASSERT_TRUE(created.ok());
  update.mutable_user()->clear_name();
  update.mutable_user()->set_email("ada@example.com");
  update.mutable_user()->set_etag(created->user().etag());
  const auto updated = Invoke(*users_, &v1::UserCacheService::Stub::UpdateUser, update);
  EXPECT_EQ(updated->user().name(), "Ada");
  const auto stale = Invoke(*users_, &v1::UserCacheService::Stub::UpdateUser, update);
  EXPECT_EQ(stale.status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ReasonOf(stale.status), "ETAG_MISMATCH");
  KillAndRestart();
  auto get = For<v1::GetUserRequest>("cache");
  get.set_id("u1");
  const auto user = Invoke(*users_, &v1::UserCacheService::Stub::GetUser, get);
  EXPECT_EQ(user->user().email(), "ada@example.com");
  EXPECT_EQ(user->user().etag(), updated->user().etag());

  auto batch = For<v1::BatchGetUsersRequest>("cache");
  batch.add_ids("missing");
  batch.add_ids("u1");
  EXPECT_EQ(Invoke(*users_, &v1::UserCacheService::Stub::BatchGetUsers, batch)->users_size(), 1);
  EXPECT_EQ(Invoke(*users_, &v1::UserCacheService::Stub::ListUsers, For<v1::ListUsersRequest>("cache"))->users_size(),
            1);
  auto remove = For<v1::DeleteUserRequest>("cache");
  remove.set_id("u1");
  EXPECT_TRUE(Invoke(*users_, &v1::UserCacheService::Stub::DeleteUser, remove).ok());
  EXPECT_EQ(Invoke(*users_, &v1::UserCacheService::Stub::GetUser, get).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, ADeletedObjectReadsAsNewOfWhateverClass) {
  Increment("gone", 5);
  Unique("gone");
  auto request = For<v1::DeleteAllRequest>("gone");
  request.mutable_object()->set_object_class("Counter");
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::DeleteAll, request).ok());
  EXPECT_EQ(Value("gone"), 0);
  EXPECT_EQ(Unique("gone"), 0);
  KillAndRestart();
  EXPECT_EQ(Value("gone"), 0);

  for (const char* object_class : {"Counter", "RateLimiter", "BatchProcessor", "UserCache", "Object", ""}) {
    auto cleanup = For<v1::CleanupRequest>("gone");
    cleanup.mutable_object()->set_object_class(object_class);
    EXPECT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::Cleanup, cleanup).ok()) << object_class;
  }
}

TEST_F(ServicesTest, CleanupStopsTheAlarm) {
  auto add = For<v1::AddItemsRequest>("mail");
  add.add_items("never");
  ASSERT_TRUE(Invoke(*batches_, &v1::BatchProcessorService::Stub::AddItems, add).ok());
  auto cleanup = For<v1::CleanupRequest>("mail");
  cleanup.mutable_object()->set_object_class("BatchProcessor");
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::Cleanup, cleanup).ok());
  const auto status =
      Invoke(*batches_, &v1::BatchProcessorService::Stub::GetBatchStatus, For<v1::GetBatchStatusRequest>("mail"));
  EXPECT_EQ(status->pending_count(), 0);
  EXPECT_FALSE(status->has_next_flush_time());
}

}  // namespace
}  // namespace holdfast::testing
