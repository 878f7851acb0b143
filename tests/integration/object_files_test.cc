// ExportObject and ImportObject move a whole object of each class, through the tool and over the wire.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "holdfast/v1/batch_processor_service.grpc.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "holdfast/v1/rate_limiter_service.grpc.pb.h"
#include "holdfast/v1/user_cache_service.grpc.pb.h"
#include "tests/integration/object_file.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

class ObjectFilesTest : public ::testing::Test {
 protected:
  ObjectFilesTest()
      : server_(directory_.path() + "/data"),
        channel_(server_.NewChannel()),
        objects_(v1::ObjectService::NewStub(channel_)) {}

  static v1::ObjectId Id(const std::string& name, const std::string& object_class) { return IdOf(name, object_class); }

  std::pair<grpc::Status, std::string> Export(const std::string& name, const std::string& object_class) {
    return FileOf(*objects_, Id(name, object_class));
  }

  grpc::Status Import(const std::string& name, const std::string& object_class, const std::string& file,
                      bool replace = false, const std::string& request_id = "") {
    grpc::ClientContext context;
    v1::ImportObjectResponse response;
    auto stream = objects_->ImportObject(&context, &response);
    v1::ImportObjectRequest part;
    *part.mutable_header()->mutable_object() = Id(name, object_class);
    part.mutable_header()->set_replace(replace);
    part.mutable_header()->set_request_id(request_id);
    stream->Write(part);
    for (size_t at = 0; at < file.size(); at += 10'000) {
      part.set_chunk(file.substr(at, 10'000));
      if (!stream->Write(part)) break;
    }
    stream->WritesDone();
    return stream->Finish();
  }

  // Exports the object "from", imports it as "to", and exports that: the files must be the same.
  void RoundTrip(const std::string& object_class) {
    const auto [status, file] = Export("from", object_class);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_TRUE(Import("to", object_class, file).ok());
    const auto [again, copy] = Export("to", object_class);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(copy, file);
    EXPECT_GT(file.size(), 60u);
    // The counts of what it stores are made anew, and agree.
    const auto describe = [&](const std::string& name) {
      v1::DescribeObjectRequest request;
      *request.mutable_object() = Id(name, object_class);
      auto reply = Invoke(*objects_, &v1::ObjectService::Stub::DescribeObject, request).response;
      return reply;
    };
    EXPECT_EQ(describe("to").key_count(), describe("from").key_count());
    EXPECT_EQ(describe("to").alarm_time().seconds(), describe("from").alarm_time().seconds());
    EXPECT_TRUE(describe("to").exists());
  }

  TemporaryDirectory directory_;
  ServerProcess server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ObjectService::Stub> objects_;
};

TEST_F(ObjectFilesTest, ACounter) {
  const auto counters = v1::CounterService::NewStub(channel_);
  v1::IncrementRequest increment;
  increment.mutable_object()->set_name("from");
  increment.set_amount(42);
  ASSERT_TRUE(Invoke(*counters, &v1::CounterService::Stub::Increment, increment).status.ok());
  RoundTrip("Counter");
  increment.mutable_object()->set_name("to");
  EXPECT_EQ(Invoke(*counters, &v1::CounterService::Stub::Increment, increment).response.value(), 84);
}

TEST_F(ObjectFilesTest, ARateLimiter) {
  const auto limits = v1::RateLimiterService::NewStub(channel_);
  v1::CheckLimitRequest check;
  check.mutable_object()->set_name("from");
  check.mutable_check()->set_key("k");
  check.mutable_check()->set_limit(2);
  check.mutable_check()->mutable_window()->set_seconds(3600);
  ASSERT_TRUE(Invoke(*limits, &v1::RateLimiterService::Stub::CheckLimit, check).response.allowed());
  RoundTrip("RateLimiter");
  check.mutable_object()->set_name("to");
  EXPECT_TRUE(Invoke(*limits, &v1::RateLimiterService::Stub::CheckLimit, check).response.allowed());
  EXPECT_FALSE(Invoke(*limits, &v1::RateLimiterService::Stub::CheckLimit, check).response.allowed());
}

TEST_F(ObjectFilesTest, ABatch) {
  const auto batches = v1::BatchProcessorService::NewStub(channel_);
  v1::ConfigureBatchRequest configure;
  configure.mutable_object()->set_name("from");
  configure.mutable_config()->mutable_delay()->set_seconds(3600);
  ASSERT_TRUE(Invoke(*batches, &v1::BatchProcessorService::Stub::ConfigureBatch, configure).status.ok());
  v1::AddItemsRequest add;
  add.mutable_object()->set_name("from");
  add.add_items("item");
  const auto added = Invoke(*batches, &v1::BatchProcessorService::Stub::AddItems, add);
  ASSERT_TRUE(added.status.ok()) << added.status.error_message();
  RoundTrip("BatchProcessor");
  v1::GetBatchStatusRequest status;
  status.mutable_object()->set_name("to");
  EXPECT_EQ(Invoke(*batches, &v1::BatchProcessorService::Stub::GetBatchStatus, status).response.pending_count(), 1);
}

TEST_F(ObjectFilesTest, AUserCache) {
  const auto users = v1::UserCacheService::NewStub(channel_);
  v1::UpdateUserRequest update;
  update.mutable_object()->set_name("from");
  update.set_allow_missing(true);
  update.mutable_user()->set_id("u");
  update.mutable_user()->set_name("Name");
  const auto updated = Invoke(*users, &v1::UserCacheService::Stub::UpdateUser, update);
  ASSERT_TRUE(updated.status.ok()) << updated.status.error_message();
  RoundTrip("UserCache");
  v1::GetUserRequest get;
  get.mutable_object()->set_name("to");
  get.set_id("u");
  EXPECT_EQ(Invoke(*users, &v1::UserCacheService::Stub::GetUser, get).response.user().name(), "Name");
}

TEST_F(ObjectFilesTest, AnObjectWithKeysSqlAndAnAlarm) {
  v1::PutEntriesRequest put;
  *put.mutable_object() = Id("from", "");
  for (int i = 0; i < 100; ++i) {
    v1::Entry* const entry = put.add_entries();
    entry->set_key(absl::StrCat("key", i));
    entry->set_value(std::string(3000, static_cast<char>(i)));
  }
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, put).status.ok());
  v1::ExecuteSqlRequest sql;
  *sql.mutable_object() = Id("from", "");
  sql.add_statements()->set_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
  sql.add_statements()->set_sql(
      "INSERT INTO t (b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
      "SELECT 'row ' || i FROM n");
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::ExecuteSql, sql).status.ok());
  v1::SetAlarmRequest alarm;
  *alarm.mutable_object() = Id("from", "");
  alarm.mutable_delay()->set_seconds(3600);
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::SetAlarm, alarm).status.ok());
  RoundTrip("Object");

  v1::ExecuteSqlRequest query;
  *query.mutable_object() = Id("to", "");
  query.add_statements()->set_sql("SELECT count(*), max(b) FROM t");
  const auto rows = Invoke(*objects_, &v1::ObjectService::Stub::ExecuteSql, query);
  ASSERT_EQ(rows.response.results_size(), 1) << rows.status.error_message();
  EXPECT_EQ(rows.response.results(0).rows(0).values(0).integer(), 1000);
}

TEST_F(ObjectFilesTest, AnImportReplacesOnlyIfItIsTold) {
  v1::PutEntriesRequest put;
  *put.mutable_object() = Id("from", "");
  v1::Entry* const entry = put.add_entries();
  entry->set_key("k");
  entry->set_value("1");
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, put).status.ok());
  const std::string file = Export("from", "").second;
  entry->set_key("l");
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, put).status.ok());
  const std::string later = Export("from", "").second;

  const grpc::Status refused = Import("from", "", file);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ABORTED) << refused.error_message();
  EXPECT_EQ(Export("from", "").second, later) << "nothing was done";
  EXPECT_TRUE(Import("from", "", file, /*replace=*/true, "id").ok());
  EXPECT_EQ(Export("from", "").second, file);
  // The same import again is one that has happened.
  ASSERT_TRUE(Invoke(*objects_, &v1::ObjectService::Stub::PutEntries, put).status.ok());
  EXPECT_TRUE(Import("from", "", file, /*replace=*/true, "id").ok());
  EXPECT_EQ(Export("from", "").second, later);

  std::string damaged = file;
  damaged[damaged.size() / 2] ^= 1;
  for (const auto& [bad, why] : {std::pair<std::string, std::string>{damaged, "is damaged or incomplete"},
                                 {"no file", "is no file of an object"},
                                 {"", "is no file of an object"}}) {
    const grpc::Status status = Import("from", "", bad, /*replace=*/true);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(why));
  }
  EXPECT_EQ(Import("other", "Counter", file).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "another class";
  EXPECT_EQ(Export("from", "").second, later) << "nothing was done";
}

TEST_F(ObjectFilesTest, TheToolMovesAnObjectToAnotherServer) {
  const auto counters = v1::CounterService::NewStub(channel_);
  v1::IncrementRequest increment;
  increment.mutable_object()->set_name("from");
  ASSERT_TRUE(Invoke(*counters, &v1::CounterService::Stub::Increment, increment).status.ok());
  const std::string file = directory_.path() + "/object";
  const ServerProgram tool{.path = HOLDFAST_TOOL};
  const auto exported = ServerProcess::RunToEnd(
      {"object", "export", "from", file, "--class", "Counter", "--server", server_.address()}, tool);
  ASSERT_EQ(exported.status, 0) << exported.output;
  ServerProcess other(directory_.path() + "/other", "", "-other");
  const auto imported = ServerProcess::RunToEnd(
      {"object", "import", "to", file, "--class", "Counter", "--server", other.address()}, tool);
  ASSERT_EQ(imported.status, 0) << imported.output;
  const auto again = ServerProcess::RunToEnd(
      {"object", "import", "to", file, "--class", "Counter", "--server", other.address()}, tool);
  EXPECT_EQ(again.status, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr("is there already"));
  v1::GetValueRequest get;
  get.mutable_object()->set_name("to");
  EXPECT_EQ(Invoke(*v1::CounterService::NewStub(other.NewChannel()), &v1::CounterService::Stub::GetValue, get)
                .response.value(),
            1);
}

}  // namespace
}  // namespace holdfast::testing
