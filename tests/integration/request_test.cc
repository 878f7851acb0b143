// Each bad input gets a clear error that names the field, and nothing is lost.

#include <gtest/gtest.h>

#include "google/protobuf/descriptor.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

class RequestTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory;
    server_ = new ServerProcess(directory_->path() + "/data");
  }
  static void TearDownTestSuite() {
    delete server_;
    delete directory_;
  }
  template <typename Service>
  auto Stub() {
    return Service::NewStub(server_->NewChannel());
  }
  void ExpectInvalid(const grpc::Status& status, const std::string& field) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << field << ": " << status.error_message();
    EXPECT_EQ(FieldOf(status), field);
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
    EXPECT_NE(status.error_message().find(field), std::string::npos) << status.error_message();
    const auto info = DetailOf<google::rpc::ErrorInfo>(status);
    EXPECT_EQ(info.domain(), "holdfast");
    EXPECT_FALSE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  }

  static TemporaryDirectory* directory_;
  static ServerProcess* server_;
};

TemporaryDirectory* RequestTest::directory_ = nullptr;
ServerProcess* RequestTest::server_ = nullptr;

TEST_F(RequestTest, NamesAreChecked) {
  auto stub = Stub<v1::CounterService>();
  v1::IncrementRequest request;
  const auto call = [&] { return Invoke(*stub, &v1::CounterService::Stub::Increment, request).status; };
  ExpectInvalid(call(), "object");
  request.mutable_object();
  ExpectInvalid(call(), "object.name");
  request.mutable_object()->set_name(std::string(513, 'x'));
  ExpectInvalid(call(), "object.name");
  request.mutable_object()->set_name(std::string(512, 'x'));
  EXPECT_TRUE(call().ok());
  for (const std::string& bad : {std::string("Upper"), std::string("a_b"), std::string(64, 'a'), std::string("a/b")}) {
    request.mutable_object()->set_namespace_(bad);
    ExpectInvalid(call(), "object.namespace");
  }
  request.mutable_object()->set_namespace_(std::string(63, 'a'));
  EXPECT_TRUE(call().ok());
  request.mutable_object()->set_name(std::string("nul\0 and \xE2\x82\xAC", 12));
  EXPECT_TRUE(call().ok());
}

TEST_F(RequestTest, RequestIdsAreChecked) {
  auto stub = Stub<v1::CounterService>();
  v1::IncrementRequest request;
  request.mutable_object()->set_name("ids");
  const auto call = [&] { return Invoke(*stub, &v1::CounterService::Stub::Increment, request); };
  request.set_request_id(std::string(129, 'x'));
  ExpectInvalid(call().status, "request_id");
  request.set_request_id(std::string(128, 'x'));
  EXPECT_EQ(call()->value(), 1);
  EXPECT_EQ(call()->value(), 1);
  request.set_amount(2);
  const auto reply = call();
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(reply.status), "REQUEST_ID_REUSED");
  request.clear_request_id();
  EXPECT_EQ(call()->value(), 3);
}

TEST_F(RequestTest, LimitsAreChecked) {
  auto stub = Stub<v1::RateLimiterService>();
  v1::CheckLimitRequest one;
  one.mutable_object()->set_name("limits");
  const auto call = [&] { return Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimit, one).status; };
  ExpectInvalid(call(), "check.key");
  one.mutable_check()->set_key("k");
  ExpectInvalid(call(), "check.limit");
  one.mutable_check()->set_limit(10);
  ExpectInvalid(call(), "check.window");
  one.mutable_check()->mutable_window()->set_seconds(1);
  EXPECT_TRUE(call().ok());

  v1::CheckLimitsRequest many;
  many.mutable_object()->set_name("limits");
  *many.add_checks() = one.check();
  *many.add_checks() = one.check();
  ExpectInvalid(Invoke(*stub, &v1::RateLimiterService::Stub::CheckLimits, many).status, "checks[1]");
}

TEST_F(RequestTest, AMessageOverTheBoundIsRefused) {
  auto stub = Stub<v1::UserCacheService>();
  v1::UpdateUserRequest request;
  request.mutable_object()->set_name("users");
  request.mutable_user()->set_name(std::string(5 << 20, 'x'));
  const auto reply = Invoke(*stub, &v1::UserCacheService::Stub::UpdateUser, request);
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(reply.status.error_message().find("larger than max"), std::string::npos);
}

TEST_F(RequestTest, AReplyThatClientsWouldRefuseIsAnError) {
  auto stub = Stub<v1::UserCacheService>();
  v1::BatchGetUsersRequest batch;
  batch.mutable_object()->set_name("big");
  for (int i = 0; i < 70; ++i) {
    v1::UpdateUserRequest update;
    update.mutable_object()->set_name("big");
    update.set_allow_missing(true);
    update.mutable_user()->set_id(std::to_string(i));
    (*update.mutable_user()->mutable_attributes()->mutable_fields())["x"].set_string_value(std::string(60'000, 'x'));
    ASSERT_TRUE(Invoke(*stub, &v1::UserCacheService::Stub::UpdateUser, update).ok());
    batch.add_ids(std::to_string(i));
  }
  const auto reply = Invoke(*stub, &v1::UserCacheService::Stub::BatchGetUsers, batch);
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(reply.status), "RESPONSE_TOO_LARGE");
  // The page ends at 1 MiB before it has this many users.
  v1::ListUsersRequest list;
  list.mutable_object()->set_name("big");
  int users = 0;
  int pages = 0;
  do {
    const auto page = Invoke(*stub, &v1::UserCacheService::Stub::ListUsers, list);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->ByteSizeLong(), (1u << 20) + (66u << 10));
    users += page->users_size();
    ++pages;
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(users, 70);
  EXPECT_GE(pages, 4);
}

TEST_F(RequestTest, WorkWhoseDeadlineHasPassedIsNotCounted) {
  auto stub = Stub<v1::CounterService>();
  v1::IncrementRequest request;
  request.mutable_object()->set_name("late");
  const auto reply = Invoke(*stub, &v1::CounterService::Stub::Increment, request, std::chrono::milliseconds(-1));
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  v1::GetValueRequest get;
  get.mutable_object()->set_name("late");
  EXPECT_EQ(Invoke(*stub, &v1::CounterService::Stub::GetValue, get)->value(), 0);
}

}  // namespace
}  // namespace holdfast::testing
