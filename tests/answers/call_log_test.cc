// The real server's log has lines about single calls.

#include <gmock/gmock.h>

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/answers/answers.h"

namespace holdfast::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class CallLogTest : public AnswersTest {
 protected:
  void ExecuteSql(const std::string& sql) {
    const auto stub = v1::ObjectService::NewStub(server_->NewChannel());
    v1::ExecuteSqlRequest request;
    request.mutable_object()->set_name("tables");
    request.add_statements()->set_sql(sql);
    (void)Invoke(*stub, &v1::ObjectService::Stub::ExecuteSql, request);
  }
};

TEST_F(CallLogTest, AtDebugEachRefusalIsALine) {
  Start("log_level: DEBUG");
  ASSERT_TRUE(Increment("fine").ok());
  EXPECT_FALSE(Increment("").ok());
  ExecuteSql("nonsense");
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  v1::BatchIncrementRequest batch;
  batch.add_increments()->mutable_object()->set_name("good");
  batch.add_increments()->mutable_object()->set_namespace_("No such namespace");
  EXPECT_TRUE(Invoke(*stub, &v1::CounterService::Stub::BatchIncrement, batch).ok());
  const auto objects = v1::ObjectService::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  v1::WatchAlarmsRequest watch;
  watch.set_max_outstanding(-1);
  v1::WatchAlarmsResponse alarm;
  EXPECT_FALSE(objects->WatchAlarms(&context, watch)->Read(&alarm));
  EXPECT_EQ(server_->Terminate(), 0);
  const std::string log = server_->Log();
  EXPECT_THAT(log, ContainsRegex("event=call_refused method=holdfast.v1.CounterService.Increment "
                                 "object=default/Counter/ code=INVALID_ARGUMENT reason=INVALID_FIELD "
                                 "message=\"object.name: must not be empty\" took_ms=[0-9.]+\n"));
  EXPECT_THAT(log, ContainsRegex("event=call_refused method=holdfast.v1.ObjectService.ExecuteSql "
                                 "object=default/Object/tables code=INVALID_ARGUMENT reason=SQL_ERROR .*took_ms="));
  EXPECT_THAT(log, ContainsRegex("event=call_refused method=holdfast.v1.CounterService.Increment "
                                 "object=\"No such namespace/.*reason=INVALID_FIELD"));
  EXPECT_THAT(log, ContainsRegex("event=call_refused method=holdfast.v1.ObjectService.WatchAlarms .*max_outstanding"));
  EXPECT_THAT(log, Not(HasSubstr("object=default/Counter/fine")));
  EXPECT_THAT(log, Not(HasSubstr("event=call_slow")));
}

TEST_F(CallLogTest, AtDebugEachSlowCallIsALine) {
  Start("log_level: DEBUG log_slow_call_ms: 0");
  ASSERT_TRUE(Increment("visits").ok());
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_THAT(server_->Log(), ContainsRegex("event=call_slow method=holdfast.v1.CounterService.Increment "
                                            "object=default/Counter/visits code=OK took_ms=[0-9.]+\n"));
}

TEST_F(CallLogTest, AtInfoThereAreNone) {
  Start("log_slow_call_ms: 0");
  ASSERT_TRUE(Increment("visits").ok());
  EXPECT_FALSE(Increment("").ok());
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_THAT(server_->Log(), Not(HasSubstr("event=call_")));
}

TEST_F(CallLogTest, AFloodOfRefusalsIsNoFloodOfLines) {
  Start("log_level: DEBUG");
  const auto stub = v1::CounterService::NewStub(server_->NewChannel());
  const absl::Time began = absl::Now();
  for (int i = 0; i < 500; ++i) EXPECT_FALSE(Invoke(*stub, &v1::CounterService::Stub::Increment, {}).ok());
  const auto seconds = absl::ToInt64Seconds(absl::Now() - began) + 1;
  EXPECT_EQ(server_->Terminate(), 0);
  const std::string log = server_->Log();
  int lines = 0;
  for (size_t at = log.find("event=call_refused"); at != log.npos; at = log.find("event=call_refused", at + 1)) ++lines;
  EXPECT_GE(lines, 100);
  EXPECT_LE(lines, 100 * seconds);
}

}  // namespace
}  // namespace holdfast::testing
