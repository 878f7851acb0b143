// The commands of `holdfast admin`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class AdminToolTest : public ToolTest {
 protected:
  template <class Request, class Response>
  void ReplyTo(const std::string& method, const Response& reply) {
    Reply<Request, Response>("/holdfast.v1.AdminService/" + method, reply);
  }
  // Answers Scrub with these replies.
  void ScrubReplies(const std::vector<v1::ScrubResponse>& replies) {
    server_.OnStream<v1::ScrubRequest, v1::ScrubResponse>(
        "/holdfast.v1.AdminService/Scrub",
        [this, replies](const v1::ScrubRequest& request, std::vector<v1::ScrubResponse>* responses) {
          request_ = request.ShortDebugString();
          *responses = replies;
          return grpc::Status::OK;
        });
  }
  static v1::GetStatusResponse Status() {
    v1::GetStatusResponse status;
    status.set_version("0.1.0");
    status.set_storage_format(4);
    status.mutable_uptime()->set_seconds(90);
    status.mutable_start_time()->set_seconds(1'000'000'000);
    status.mutable_calls()->set_ended(12);
    status.mutable_families()->set_used(3);
    status.mutable_families()->set_used_max(512);
    v1::MemoryUse* const memory = status.add_memory();
    memory->set_owner("objects");
    memory->set_bytes(1536);
    memory->set_bytes_max(256 << 20);
    v1::ExecutorStatus* const executor = status.add_executors();
    executor->set_number(0);
    executor->set_unresponsive(true);
    return status;
  }
};

TEST_F(AdminToolTest, Status) {
  ReplyTo<v1::GetStatusRequest>("GetStatus", Status());
  Result result = Tool({"admin", "status"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("0.1.0, format 4\n"));
  EXPECT_THAT(result.out, HasSubstr("1m30s, since 2001-09-09T01:46:40Z\n"));
  EXPECT_THAT(result.out, HasSubstr("memory: objects"));
  EXPECT_THAT(result.out, HasSubstr("1.5 KiB of 256.0 MiB\n"));
  EXPECT_THAT(result.out, HasSubstr("3 of 512\n"));
  EXPECT_THAT(result.out, HasSubstr("no answer"));
  result = Tool({"admin", "status", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"version\":\"0.1.0\""));
}

TEST_F(AdminToolTest, Top) {
  v1::ListHotObjectsResponse hot;
  hot.mutable_window()->set_seconds(60);
  v1::HotObject* const object = hot.add_objects();
  object->mutable_object()->set_namespace_("shop");
  object->mutable_object()->set_object_class("Counter");
  object->mutable_object()->set_name("a\x1b[2J");
  object->set_requests(5000);
  object->mutable_time()->set_nanos(2'000'000);
  object->set_bytes_written(2048);
  ReplyTo<v1::GetStatusRequest>("GetStatus", Status());
  ReplyTo<v1::ListHotObjectsRequest>("ListHotObjects", hot);
  Result result = Tool({"admin", "top", "--by", "bytes", "--limit", "7"});
  EXPECT_EQ(request_, "order: HOT_ORDER_BYTES_WRITTEN limit: 7");
  EXPECT_EQ(result.out,
            "up 1m30s, 12 calls, 0 refused, 0 in progress, 0 commits\n"
            "the busiest objects of the last 1m\n"
            "REQUESTS  TIME  WRITTEN  NAMESPACE  CLASS    NAME\n"
            "5000      2ms   2.0 KiB  shop       Counter  a\\x1b[2J\n")
      << result.err;
  // At a terminal each look clears the screen.
  result = Tool({"admin", "top", "--count", "2", "--refresh", "100ms"}, "", /*is_terminal=*/true);
  EXPECT_THAT(result.out, StartsWith("\x1b[H\x1b[2Jup "));
  EXPECT_NE(result.out.find("\x1b[H\x1b[2Jup ", 5), std::string::npos);
  result = Tool({"admin", "top", "--json"}, "", /*is_terminal=*/true);
  EXPECT_THAT(result.out, StartsWith("{\"objects\":[{"));
  ExpectUsage({"admin", "top", "--by", "name"}, "--by: must be requests, time or bytes");
  ExpectUsage({"admin", "top", "--refresh", "1ms"}, "--refresh: must be at least 100ms");
}

TEST_F(AdminToolTest, TopOfNothing) {
  ReplyTo<v1::GetStatusRequest>("GetStatus", Status());
  ReplyTo<v1::ListHotObjectsRequest>("ListHotObjects", v1::ListHotObjectsResponse());
  EXPECT_THAT(Tool({"admin", "top"}).out, HasSubstr("no object had a request\n"));
}

TEST_F(AdminToolTest, Namespaces) {
  v1::ListNamespacesResponse reply;
  v1::NamespaceSummary* const summary = reply.add_namespaces();
  summary->set_namespace_("shop");
  summary->set_objects(12);
  summary->set_size_bytes(500);
  ReplyTo<v1::ListNamespacesRequest>("ListNamespaces", reply);
  Result result = Tool({"admin", "namespaces", "--page-size", "9"});
  EXPECT_EQ(request_, "page_size: 9");
  EXPECT_EQ(result.out,
            "OBJECTS  BYTES  NAMESPACE\n"
            "12       500    shop\n");
  result = Tool({"admin", "namespaces", "--json"});
  EXPECT_EQ(result.out, "{\"namespace\":\"shop\",\"objects\":\"12\",\"size_bytes\":\"500\"}\n");
}

class AlarmsToolTest : public AdminToolTest {
 protected:
  // The server's clock says 1,000,000,090.5 s; one alarm is late by then, and two pages have one each.
  void SetUp() override {
    AdminToolTest::SetUp();
    v1::GetStatusResponse status = Status();
    status.mutable_uptime()->set_nanos(500'000'000);
    status.mutable_alarms()->set_running(1);
    status.mutable_alarms()->set_waiting(2);
    status.mutable_alarms()->mutable_backlog()->set_seconds(3);
    v1::AlarmStatus* const other = status.add_other_nodes()->mutable_status()->mutable_alarms();
    other->set_waiting(5);
    other->set_watchers(4);
    other->mutable_backlog()->set_seconds(90);
    ReplyTo<v1::GetStatusRequest>("GetStatus", status);
    server_.On<v1::ListAlarmsRequest, v1::ListAlarmsResponse>(
        "/holdfast.v1.AdminService/ListAlarms",
        [this](const v1::ListAlarmsRequest& request, v1::ListAlarmsResponse* response) {
          requests_.push_back(request.ShortDebugString());
          const bool first = request.page_token().empty();
          v1::AlarmSummary* const alarm = response->add_alarms();
          alarm->mutable_object()->set_namespace_("shop");
          alarm->mutable_object()->set_object_class("Object");
          alarm->mutable_object()->set_name(first ? "cart/\x1b[2J" : "cart/2");
          alarm->mutable_due_time()->set_seconds(first ? 1'000'000'000 : 1'000'000'100);
          if (first) response->set_next_page_token("second");
          return grpc::Status::OK;
        });
  }
  // Answers DescribeObject: cart/2 is out to a watcher, and the other one has failed.
  void Describe() {
    server_.On<v1::DescribeObjectRequest, v1::DescribeObjectResponse>(
        "/holdfast.v1.ObjectService/DescribeObject",
        [](const v1::DescribeObjectRequest& request, v1::DescribeObjectResponse* response) {
          if (request.object().name() == "cart/2") {
            response->mutable_alarm_delivery()->set_retry_count(0);
            response->mutable_alarm_delivery()->mutable_lease_expire_time()->set_seconds(1'000'000'100);
          } else {
            response->mutable_alarm()->set_retry_count(12);
          }
          return grpc::Status::OK;
        });
  }

  std::vector<std::string> requests_;
};

TEST_F(AlarmsToolTest, AreListedWithTheirLatenessByTheServersClock) {
  Result result = Tool({"alarms", "--page-size", "7"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(requests_, ElementsAre("page_size: 7"));
  EXPECT_EQ(result.out,
            "1 running, 7 due and not taken, 4 watchers; backlog 1m30s\n"
            "NEXT ATTEMPT          STATE       NAMESPACE  CLASS   NAME\n"
            "2001-09-09T01:46:40Z  late 1m30s  shop       Object  cart/\\x1b[2J\n");
  EXPECT_THAT(result.err, HasSubstr("second"));
  result = Tool({"alarms", "--json"});
  EXPECT_EQ(result.out,
            "{\"object\":{\"namespace\":\"shop\",\"name\":\"cart/\\u001b[2J\",\"object_class\":\"Object\"},"
            "\"due_time\":\"2001-09-09T01:46:40Z\",\"late\":\"90.500s\"}\n");
  EXPECT_EQ(result.err, "{\"next_page_token\":\"second\"}\n");
}

TEST_F(AlarmsToolTest, AllPagesWithTheirFailuresFitIntoEightyColumns) {
  Describe();
  Result result = Tool({"alarms", "--all", "--describe"}, "", /*is_terminal=*/true);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(requests_, ElementsAre("", "page_token: \"second\""));
  EXPECT_THAT(result.out, HasSubstr("NEXT ATTEMPT          STATE       RETRIES  NAMESPACE  CLASS   NAME"));
  EXPECT_THAT(result.out, HasSubstr("2001-09-09T01:46:40Z  late 1m30s  12       shop       Object  cart/\\x1b[2J\n"));
  EXPECT_THAT(result.out, HasSubstr("2001-09-09T01:48:20Z  out         0        shop       Object  cart/2\n"));
  result = Tool({"alarms", "--all", "--describe", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"late\":\"90.500s\",\"retry_count\":12}\n"));
  EXPECT_THAT(result.out, HasSubstr("\"retry_count\":0,\"lease_expire_time\":\"2001-09-09T01:48:20Z\"}\n"));
}

// An object that can't be described hides no alarm; a server that is away does.
TEST_F(AlarmsToolTest, AnObjectThatIsNotDescribedIsListed) {
  Fail<v1::DescribeObjectRequest, v1::DescribeObjectResponse>("/holdfast.v1.ObjectService/DescribeObject",
                                                              {grpc::StatusCode::DATA_LOSS, "damaged"});
  Result result = Tool({"alarms", "--describe"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("late 1m30s  ?        shop"));
  Fail<v1::DescribeObjectRequest, v1::DescribeObjectResponse>("/holdfast.v1.ObjectService/DescribeObject",
                                                              {grpc::StatusCode::UNAVAILABLE, "gone"});
  result = Tool({"alarms", "--describe", "--retries", "0"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("UNAVAILABLE: gone"));
}

TEST_F(AlarmsToolTest, ThereMayBeNone) {
  ReplyTo<v1::ListAlarmsRequest>("ListAlarms", v1::ListAlarmsResponse());
  EXPECT_THAT(Tool({"alarms"}).out, HasSubstr("watchers; backlog 1m30s\nno alarm is set\n"));
  EXPECT_EQ(Tool({"alarms", "--json"}).out, "");
  ExpectUsage({"alarms", "--request-id", "a"}, "this command takes no --request-id");
}

TEST_F(AdminToolTest, Rights) {
  v1::GetRightsResponse rights;
  rights.set_read(true);
  rights.set_write(true);
  Reply<v1::GetRightsRequest>("/holdfast.v1.ObjectService/GetRights", rights);
  Result result = Tool({"rights", "--class", "Counter", "--namespace", "shop"});
  EXPECT_EQ(request_, "namespace: \"shop\" object_class: \"Counter\"");
  EXPECT_EQ(result.out,
            "read                   yes\n"
            "write                  yes\n"
            "administer             no\n"
            "administer the server  no\n");
  result = Tool({"rights", "--json"});
  EXPECT_EQ(request_, "");
  EXPECT_EQ(result.out, "{\"read\":true,\"write\":true,\"admin\":false,\"admin_of_server\":false}\n");
}

TEST_F(AdminToolTest, LogLevel) {
  v1::SetLogLevelResponse reply;
  reply.set_previous_level(v1::LOG_LEVEL_INFO);
  ReplyTo<v1::SetLogLevelRequest>("SetLogLevel", reply);
  const Result result = Tool({"admin", "log-level", "debug"});
  EXPECT_EQ(request_, "level: LOG_LEVEL_DEBUG");
  EXPECT_EQ(result.out, "DEBUG, before INFO\n");
  ExpectUsage({"admin", "log-level", "loud"}, "LEVEL: must be DEBUG, INFO, WARNING or ERROR");
}

TEST_F(AdminToolTest, ScrubPrintsHowFarItIsAndItsDamage) {
  v1::ScrubResponse first;
  first.set_bytes(2048);
  v1::ScrubResponse last = first;
  last.set_bytes_done(2048);
  last.set_done(true);
  last.set_damaged_count(1);
  v1::DamagedTable* const table = last.add_damaged_tables();
  table->set_table("000012.sst");
  table->set_family("packed");
  table->set_message("block checksum mismatch");
  ScrubReplies({first, last});
  const Result result = Tool({"admin", "scrub", "--rate", "1000000"});
  EXPECT_EQ(request_, "bytes_per_second: 1000000");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out,
            "checking  0 of 2.0 KiB, 0 tables are damaged\n"
            "checked  2.0 KiB of 2.0 KiB, 1 tables are damaged\n"
            "TABLE       FAMILY  DAMAGE\n"
            "000012.sst  packed  block checksum mismatch\n");
}

TEST_F(AdminToolTest, AScrubWithoutDamageEndsWithSuccess) {
  v1::ScrubResponse last;
  last.set_done(true);
  ScrubReplies({last});
  Result result = Tool({"admin", "scrub"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "checked  0 of 0, 0 tables are damaged\n");
  result = Tool({"admin", "scrub", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"done\":true"));
}

TEST_F(AdminToolTest, TheHistoryFitsIntoEightyColumns) {
  v1::GetHistoryResponse reply;
  v1::HistoryPoint* const quiet = reply.add_points();
  quiet->mutable_time()->set_seconds(1'700'000'000);
  v1::HistoryPoint* const busy = reply.add_points();
  busy->mutable_time()->set_seconds(1'700'000'010);
  busy->set_requests_per_second(123'456);
  busy->set_errors_per_second(0.25);
  busy->set_refusals_per_second(999.7);
  busy->mutable_request_p50()->set_nanos(250'000);
  busy->mutable_request_p99()->set_nanos(999'600'000);
  busy->set_commits_per_second(99.96);
  busy->mutable_commit_p99()->set_nanos(2'500'000);
  busy->set_log_bytes_per_second(1'073'741'000);
  busy->set_cpu(12.345);
  busy->set_resident_bytes(int64_t{1023} << 30);
  ReplyTo<v1::GetHistoryRequest>("GetHistory", reply);
  Result result = Tool({"admin", "history"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("TIME      REQ   ERR  REF   P50    P99   COMM  C99    LOG   CPU    MEM\n"
                                    "22:13:20  0     0    0     -      -     0     -      0     0.00   0\n"
                                    "22:13:30  123K  0.2  1.0K  250us  1.0s  100   2.5ms  1.0G  12.35  1023G\n"));
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) EXPECT_LE(line.size(), 80u) << line;
  result = Tool({"admin", "history", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"requests_per_second\":123456"));

  ReplyTo<v1::GetHistoryRequest>("GetHistory", v1::GetHistoryResponse());
  EXPECT_EQ(Tool({"admin", "history"}).out, "there is no point yet; one comes every 10 s\n");
}

TEST_F(AdminToolTest, RestoreObject) {
  v1::RestoreObjectResponse reply;
  reply.mutable_restored_to()->set_seconds(1'700'000'000);
  reply.set_backup_id(4);
  reply.set_bytes(1536);
  ReplyTo<v1::RestoreObjectRequest>("RestoreObject", reply);
  Result result = Tool({"admin", "restore-object", "cart", "--at", "2023-11-14T22:13:21Z", "--as", "old", "--replace",
                        "--class", "Counter", "--namespace", "shop", "--request-id", "r"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(request_,
            "object { namespace: \"shop\" name: \"cart\" object_class: \"Counter\" } "
            "at { seconds: 1700000001 } target_name: \"old\" replace: true");
  EXPECT_EQ(result.out, "as of 2023-11-14T22:13:20Z, out of backup 4, 1.5 KiB\n");
  result = Tool({"admin", "restore-object", "cart", "--json"});
  EXPECT_THAT(result.out, HasSubstr("\"restored_to\":\"2023-11-14T22:13:20Z\""));
  ExpectUsage({"admin", "restore-object", "cart", "--at", "yesterday"},
              "--at: 'yesterday' is not a time such as 2024-05-01T12:00:00Z, or +10m for in ten minutes");
}

}  // namespace
}  // namespace holdfast::client
