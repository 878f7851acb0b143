// The commands of `holdfast object`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

class ObjectToolTest : public ToolTest {
 protected:
  template <class Request, class Response>
  void ReplyTo(const std::string& method, const Response& reply = Response()) {
    Reply<Request, Response>("/holdfast.v1.ObjectService/" + method, reply);
  }
};

v1::Entry Entry(const std::string& key, const std::string& value, const std::string& etag) {
  v1::Entry entry;
  entry.set_key(key);
  entry.set_value(value);
  entry.set_etag(etag);
  return entry;
}

TEST_F(ObjectToolTest, Get) {
  v1::GetEntriesResponse reply;
  *reply.add_entries() = Entry("a", "one", "e1");
  *reply.add_entries() = Entry(std::string("b\0", 2), std::string("\0\xff\x1b[2J\xc3\xa9\n", 9), "e2");
  ReplyTo<v1::GetEntriesRequest>("GetEntries", reply);
  Result result = Tool({"object", "get", "o", "a", "c", "--class", "UserCache", "--namespace", "n"});
  EXPECT_EQ(request_, "object { namespace: \"n\" name: \"o\" object_class: \"UserCache\" } keys: \"a\" keys: \"c\"");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out,
            "KEY    ETAG  VALUE\n"
            "a      e1    one\n"
            "b\\x00  e2    \\x00\\xff\\x1b[2J\xc3\xa9\\n\n"
            "no entry c\n");
  result = Tool({"object", "get", "o", "a", "--json"});
  EXPECT_EQ(result.out,
            "{\"entries\":[{\"key\":\"a\",\"value\":\"b25l\",\"etag\":\"e1\"},"
            "{\"key\":\"b\\u0000\",\"value\":\"AP8bWzJKw6kK\",\"etag\":\"e2\"}]}\n");
}

TEST_F(ObjectToolTest, GetRaw) {
  v1::GetEntriesResponse reply;
  *reply.add_entries() = Entry("a", std::string("\0\xff\n", 3), "e1");
  ReplyTo<v1::GetEntriesRequest>("GetEntries", reply);
  Result result = Tool({"object", "get", "o", "a", "--raw"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, std::string("\0\xff\n", 3));
  ReplyTo<v1::GetEntriesRequest>("GetEntries", v1::GetEntriesResponse());
  result = Tool({"object", "get", "o", "a", "--raw"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  ExpectUsage({"object", "get", "o", "a", "b", "--raw"}, "--raw is for one KEY, without --json");
  ExpectUsage({"object", "get", "o", "a", "--raw", "--json"}, "--raw is for one KEY, without --json");
}

TEST_F(ObjectToolTest, Put) {
  const std::string path = testing::TempDir() + "/holdfast_put";
  std::ofstream(path, std::ios::binary) << std::string("\0\xff", 2);
  ReplyTo<v1::PutEntriesRequest, v1::PutEntriesResponse>("PutEntries");
  const Result result =
      Tool({"object", "put", "o", "a=1=2", "b=", "c=@" + path, "d=@@x", "e=[1,\\n]", "a=2", "--request-id", "once"});
  EXPECT_EQ(result.out, "put  5\n") << result.err;
  EXPECT_EQ(request_,
            "object { name: \"o\" } entries { key: \"a\" value: \"1=2\" } entries { key: \"b\" } "
            "entries { key: \"c\" value: \"\\000\\377\" } entries { key: \"d\" value: \"@x\" } "
            "entries { key: \"e\" value: \"[1,\\\\n]\" } entries { key: \"a\" value: \"2\" }");
  EXPECT_EQ(ids_, std::vector<std::string>{"once"});
  std::remove(path.c_str());
  ExpectUsage({"object", "put", "o", "c=@" + path}, absl::StrCat("KEY=VALUE: '", path, "' can't be read"));
  ExpectUsage({"object", "put", "o", "c=@/"}, "KEY=VALUE: '/' can't be read");
  ExpectUsage({"object", "put", "o", "c=@/dev/zero"}, "KEY=VALUE: '/dev/zero' is over 2 MiB");
  ExpectUsage({"object", "put", "o", "c"}, "KEY=VALUE: 'c' has no =");
  ExpectUsage({"object", "put", "o"}, "KEY=VALUE is required");
}

TEST_F(ObjectToolTest, AMinusIsTheStandardInput) {
  ReplyTo<v1::PutEntriesRequest, v1::PutEntriesResponse>("PutEntries");
  const std::string bytes("\0\xff\n", 3);
  EXPECT_EQ(Tool({"object", "put", "o", "a=-", "b=--", "c=@@-", "d=\\055", "--escapes"}, bytes).status, 0);
  EXPECT_EQ(
      request_,
      "object { name: \"o\" } entries { key: \"a\" value: \"\\000\\377\\n\" } entries { key: \"b\" value: \"--\" } "
      "entries { key: \"c\" value: \"@-\" } entries { key: \"d\" value: \"-\" }");
  EXPECT_EQ(Tool({"object", "put", "o", "a=-"}, "").status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } entries { key: \"a\" }");
  ReplyTo<v1::ApplyBatchRequest, v1::ApplyBatchResponse>("ApplyBatch");
  EXPECT_EQ(Tool({"object", "apply", "o", "--put", "a=-"}, "x").status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } steps { put { key: \"a\" value: \"x\" } }");
  ExpectUsage({"object", "put", "o", "a=-", "b=-"}, "KEY=VALUE: the standard input can be read for one value only");
  const Result result = Tool({"object", "put", "o", "a=-"}, std::string((2 << 20) + 1, 'x'));
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err.rfind("holdfast: KEY=VALUE: the standard input is over 2 MiB\n", 0), 0u) << result.err;
  ReplyTo<v1::AcknowledgeAlarmRequest, v1::AcknowledgeAlarmResponse>("AcknowledgeAlarm");
  EXPECT_EQ(Tool({"object", "alarm", "ack", "o", "t", "--error", "-"}, "later\n").status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } delivery_token: \"t\" error { code: 2 message: \"later\" }");
}

TEST_F(ObjectToolTest, EscapesGiveEveryKeyAndValue) {
  ReplyTo<v1::PutEntriesRequest, v1::PutEntriesResponse>("PutEntries");
  EXPECT_EQ(Tool({"object", "put", "o", "nul\\000\\075=\\377\\000", "--escapes"}).out, "put  1\n");
  EXPECT_EQ(request_, "object { name: \"o\" } entries { key: \"nul\\000=\" value: \"\\377\\000\" }");
  ReplyTo<v1::DeleteEntriesRequest, v1::DeleteEntriesResponse>("DeleteEntries");
  EXPECT_EQ(Tool({"object", "delete", "--escapes", "o", "\\000"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } keys: \"\\000\"");
  ExpectUsage({"object", "delete", "o", "\\377", "--escapes"}, "KEY: '\\377' is not UTF-8");
  EXPECT_EQ(Tool({"object", "delete", "o", "\\q", "--escapes"}).status, 2);
}

TEST_F(ObjectToolTest, AClassCanBeGivenWhereverAnObjectIsNamed) {
  ReplyTo<v1::PutEntriesRequest, v1::PutEntriesResponse>("PutEntries");
  ReplyTo<v1::DeleteEntriesRequest, v1::DeleteEntriesResponse>("DeleteEntries");
  ReplyTo<v1::ApplyBatchRequest, v1::ApplyBatchResponse>("ApplyBatch");
  ReplyTo<v1::SetAlarmRequest, v1::SetAlarmResponse>("SetAlarm");
  ReplyTo<v1::DeleteAlarmRequest, v1::DeleteAlarmResponse>("DeleteAlarm");
  ReplyTo<v1::AcknowledgeAlarmRequest, v1::AcknowledgeAlarmResponse>("AcknowledgeAlarm");
  ReplyTo<v1::ExtendAlarmLeaseRequest, v1::ExtendAlarmLeaseResponse>("ExtendAlarmLease");
  ReplyTo<v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>("ExecuteSql");
  for (std::vector<std::string> words : std::vector<std::vector<std::string>>{{"object", "put", "o", "a=1"},
                                                                              {"object", "delete", "o", "a"},
                                                                              {"object", "apply", "o", "--put", "a=1"},
                                                                              {"object", "alarm", "set", "o", "+1m"},
                                                                              {"object", "alarm", "delete", "o"},
                                                                              {"object", "alarm", "ack", "o", "t"},
                                                                              {"object", "alarm", "extend", "o", "t"},
                                                                              {"sql", "o", "SELECT 1"}}) {
    words.insert(words.end(), {"--class", "Some"});
    request_.clear();
    EXPECT_EQ(Tool(words).status, 0) << words[1];
    EXPECT_EQ(request_.rfind("object { name: \"o\" object_class: \"Some\" }", 0), 0u) << request_;
  }
}

TEST_F(ObjectToolTest, Delete) {
  v1::DeleteEntriesResponse reply;
  reply.set_deleted_count(1);
  ReplyTo<v1::DeleteEntriesRequest>("DeleteEntries", reply);
  EXPECT_EQ(Tool({"object", "delete", "o", "a", "alarm", "--", "-k"}).out, "deleted  1\n");
  EXPECT_EQ(request_, "object { name: \"o\" } keys: \"a\" keys: \"alarm\" keys: \"-k\"");
}

TEST_F(ObjectToolTest, List) {
  v1::ListEntriesResponse reply;
  *reply.add_entries() = Entry("a", "1", "e1");
  ReplyTo<v1::ListEntriesRequest>("ListEntries", reply);
  EXPECT_EQ(Tool({"object", "list", "o", "--start", "", "--end", "z", "--prefix", "p", "--reverse", "--limit", "7",
                  "--page-size", "2", "--page-token", "t"})
                .out,
            "KEY  ETAG  VALUE\na    e1    1\n");
  EXPECT_EQ(Tool({"object", "list", "o", "--json"}).out, "{\"key\":\"a\",\"value\":\"MQ==\",\"etag\":\"e1\"}\n");
  EXPECT_EQ(Tool({"object", "list", "o", "--start", "", "--end", "z", "--prefix", "p", "--reverse", "--limit", "7",
                  "--page-size", "2", "--page-token", "t"})
                .status,
            0);
  EXPECT_EQ(request_,
            "object { name: \"o\" } page_size: 2 page_token: \"t\" start: \"\" end: \"z\" prefix: \"p\" reverse: true "
            "limit: 7");
  EXPECT_EQ(Tool({"object", "list", "o", "--start-after=\\000", "--escapes", "--class", "Counter"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" object_class: \"Counter\" } start_after: \"\\000\"");
  ExpectUsage({"object", "list", "o", "--limit", "0"}, "--limit: '0' is not a whole number from 1 to 2147483647");
}

TEST_F(ObjectToolTest, ApplyKeepsTheOrderOfTheCommandLine) {
  ReplyTo<v1::ApplyBatchRequest, v1::ApplyBatchResponse>("ApplyBatch");
  const Result result = Tool({"object",
                              "apply",
                              "--delete",
                              "a",
                              "--put",
                              "b=1",
                              "o",
                              "--if-etag",
                              "k=1=e",
                              "--delete",
                              "c",
                              "--json",
                              "--if-absent",
                              "x",
                              "--set-alarm",
                              "2024-05-01T12:00:00.5Z",
                              "--put",
                              "-d=[2]",
                              "--delete-alarm",
                              "--put",
                              "e=",
                              "--if-etag",
                              "l=f",
                              "--if-present",
                              "y",
                              "--token",
                              "t",
                              "--if-absent",
                              "z",
                              "--request-id",
                              "once"});
  EXPECT_EQ(result.out, "{\"sql_results\":[]}\n") << result.err;
  EXPECT_EQ(request_,
            "object { name: \"o\" } preconditions { etag_equals { key: \"k=1\" etag: \"e\" } } "
            "preconditions { key_absent: \"x\" } preconditions { etag_equals { key: \"l\" etag: \"f\" } } "
            "preconditions { key_present: \"y\" } preconditions { key_absent: \"z\" } "
            "steps { delete_key: \"a\" } steps { put { key: \"b\" value: \"1\" } } steps { delete_key: \"c\" } "
            "steps { set_alarm { seconds: 1714564800 nanos: 500000000 } } steps { put { key: \"-d\" value: \"[2]\" } } "
            "steps { delete_alarm: true } steps { put { key: \"e\" } } alarm_delivery_token: \"t\"");
  EXPECT_EQ(ids_, std::vector<std::string>{"once"});
  EXPECT_EQ(Tool({"object", "apply", "o", "--put", "a=1", "--delete=b"}).out, "applied  2\n");
  EXPECT_EQ(Tool({"object", "apply", "o", "--token", "t"}).out, "applied  0\n");
  ExpectUsage({"object", "apply", "o", "--if-absent", "a"},
              "give one of --put, --delete, --set-alarm, --delete-alarm, --token");
  ExpectUsage({"object", "apply", "o", "--put", "a"}, "--put: 'a' has no =");
  ExpectUsage({"object", "apply", "o", "--delete", "b", "--if-etag", "a"}, "--if-etag: 'a' has no =");
}

TEST_F(ObjectToolTest, AConditionThatDoesNotHoldIsNotRetried) {
  int calls = 0;
  server_.On<v1::ApplyBatchRequest, v1::ApplyBatchResponse>(
      "/holdfast.v1.ObjectService/ApplyBatch", [&calls](const auto&, auto*) {
        ++calls;
        return Error(grpc::StatusCode::ABORTED, "preconditions[0]: \"a\" exists", "PRECONDITION_FAILED");
      });
  const Result result = Tool({"object", "apply", "o", "--if-absent", "a", "--put", "a=1"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "holdfast: ABORTED: preconditions[0]: \"a\" exists (PRECONDITION_FAILED)\n");
  EXPECT_EQ(calls, 1);
}

TEST_F(ObjectToolTest, Alarm) {
  ReplyTo<v1::SetAlarmRequest, v1::SetAlarmResponse>("SetAlarm");
  EXPECT_EQ(Tool({"object", "alarm", "set", "o", "2024-05-01T14:00:00+02:00"}).out, "set for  2024-05-01T12:00:00Z\n");
  EXPECT_EQ(request_, "object { name: \"o\" } scheduled_time { seconds: 1714564800 }");
  v1::GetAlarmResponse alarm;
  ReplyTo<v1::GetAlarmRequest>("GetAlarm", alarm);
  EXPECT_EQ(Tool({"object", "alarm", "get", "o"}).out, "no alarm is set\n");
  alarm.mutable_scheduled_time()->set_seconds(1'700'000'000);
  ReplyTo<v1::GetAlarmRequest>("GetAlarm", alarm);
  EXPECT_EQ(Tool({"object", "alarm", "get", "set", "--class", "BatchProcessor"}).out, "2023-11-14T22:13:20Z\n");
  EXPECT_EQ(request_, "object { name: \"set\" object_class: \"BatchProcessor\" }");
  ReplyTo<v1::DeleteAlarmRequest, v1::DeleteAlarmResponse>("DeleteAlarm");
  EXPECT_EQ(Tool({"object", "alarm", "delete", "o"}).out, "deleted\n");

  ReplyTo<v1::AcknowledgeAlarmRequest, v1::AcknowledgeAlarmResponse>("AcknowledgeAlarm");
  EXPECT_EQ(Tool({"object", "alarm", "ack", "o", "t"}).out, "acknowledged\n");
  EXPECT_EQ(request_, "object { name: \"o\" } delivery_token: \"t\"");
  EXPECT_EQ(Tool({"object", "alarm", "ack", "o", "t", "--error", "later"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"o\" } delivery_token: \"t\" error { code: 2 message: \"later\" }");
  v1::ExtendAlarmLeaseResponse extended;
  extended.mutable_lease_expire_time()->set_seconds(1'700'000'000);
  ReplyTo<v1::ExtendAlarmLeaseRequest>("ExtendAlarmLease", extended);
  EXPECT_EQ(Tool({"object", "alarm", "extend", "o", "t", "--lease", "2m"}).out, "lease ends  2023-11-14T22:13:20Z\n");
  EXPECT_EQ(request_, "object { name: \"o\" } delivery_token: \"t\" lease { seconds: 120 }");
  EXPECT_EQ(ids_.at(0).size(), 32u);
}

TEST_F(ObjectToolTest, AnAlarmFromNow) {
  v1::SetAlarmRequest request;
  server_.On<v1::SetAlarmRequest, v1::SetAlarmResponse>("/holdfast.v1.ObjectService/SetAlarm",
                                                        [&request](const auto& r, auto*) {
                                                          request = r;
                                                          return grpc::Status::OK;
                                                        });
  ASSERT_EQ(Tool({"object", "alarm", "set", "o", "+1h30m"}).status, 0);
  EXPECT_FALSE(request.has_scheduled_time());
  EXPECT_EQ(request.delay().seconds(), 5400);
  EXPECT_EQ(request.delay().nanos(), 0);
  EXPECT_NE(Tool({"object", "alarm", "set", "o", "+soon"}).status, 0);
}

class WatchToolTest : public ObjectToolTest {
 protected:
  void Serve(const grpc::Status& status) {
    server_.OnStream<v1::WatchAlarmsRequest, v1::WatchAlarmsResponse>(
        "/holdfast.v1.ObjectService/WatchAlarms",
        [=, this](const v1::WatchAlarmsRequest& request, std::vector<v1::WatchAlarmsResponse>* responses) {
          request_ = request.ShortDebugString();
          for (int i = 0; i < 3; ++i) {
            v1::WatchAlarmsResponse& alarm = responses->emplace_back();
            alarm.mutable_object()->set_name(absl::StrCat("o", i));
            alarm.set_delivery_token(absl::StrCat("t", i));
            alarm.mutable_scheduled_time()->set_seconds(1'700'000'000);
            alarm.mutable_lease_expire_time()->set_seconds(1'700'000'030);
            alarm.set_retry_count(i);
          }
          return status;
        });
  }
};

TEST_F(WatchToolTest, EndsAfterItsCount) {
  Serve(grpc::Status::OK);
  const Result result = Tool({"object", "alarm", "watch", "--count", "2", "--prefix", "o", "--lease", "1m",
                              "--max-outstanding", "5", "--namespace", "n"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(request_, "namespace: \"n\" name_prefix: \"o\" max_outstanding: 5 lease { seconds: 60 }");
  EXPECT_EQ(result.out,
            "SCHEDULED             RETRIES  LEASE ENDS            TOKEN  NAME\n"
            "2023-11-14T22:13:20Z  0        2023-11-14T22:13:50Z  t0     o0\n"
            "2023-11-14T22:13:20Z  1        2023-11-14T22:13:50Z  t1     o1\n");
}

TEST_F(WatchToolTest, AnEndByTheServerIsAFailure) {
  Serve(Error(grpc::StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(500)));
  const Result result = Tool({"object", "alarm", "watch", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3) << result.out;
  EXPECT_NE(result.err.find("\"reason\":\"DRAINING\""), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("outcome_unknown"), std::string::npos) << result.err;
}

TEST_F(WatchToolTest, AnOutputThatIsGoneEndsIt) {
  Serve(grpc::Status::OK);
  std::istringstream in;
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  const char* const argv[] = {"holdfast", "object", "alarm", "watch"};
  EXPECT_EQ(RunTool(4, argv, {in}, out, err), 1);
}

// The server answers DescribeObject, DeleteAll and Cleanup; calls_ has the calls that removed something.
class RemovalToolTest : public ObjectToolTest {
 protected:
  void SetUp() override {
    ObjectToolTest::SetUp();
    server_.On<v1::DescribeObjectRequest, v1::DescribeObjectResponse>(
        "/holdfast.v1.ObjectService/DescribeObject", [this](const auto& request, auto* response) {
          described_ = request.ShortDebugString();
          *response->mutable_summary()->mutable_object() = request.object();
          response->set_placement(v1::PLACEMENT_PACKED);
          response->set_exists(exists_);
          return describe_status_;
        });
    server_.On<v1::DeleteAllRequest, v1::DeleteAllResponse>("/holdfast.v1.ObjectService/DeleteAll",
                                                            [this](v1::DeleteAllRequest request, auto*) {
                                                              request.clear_request_id();
                                                              calls_.push_back(request.ShortDebugString());
                                                              return grpc::Status::OK;
                                                            });
    server_.On<v1::CleanupRequest, v1::CleanupResponse>("/holdfast.v1.ObjectService/Cleanup",
                                                        [this](v1::CleanupRequest request, auto*) {
                                                          request.clear_request_id();
                                                          calls_.push_back(request.ShortDebugString());
                                                          return grpc::Status::OK;
                                                        });
  }

  using Calls = std::vector<std::string>;
  bool exists_ = true;
  grpc::Status describe_status_;
  std::string described_;
  Calls calls_;
};

TEST_F(RemovalToolTest, InAScriptThereIsNoQuestion) {
  Result result = Tool({"object", "delete-all", "a", "--class", "Counter", "--keep-alarm", "--namespace", "n"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "deleted\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(described_, "object { namespace: \"n\" name: \"a\" object_class: \"Counter\" }");
  EXPECT_EQ(Tool({"object", "cleanup", "a"}).out, "cleaned up\n");
  EXPECT_EQ(calls_, (Calls{"object { namespace: \"n\" name: \"a\" object_class: \"Counter\" } keep_alarm: true",
                           "object { name: \"a\" }"}));
}

TEST_F(RemovalToolTest, ATerminalIsAsked) {
  for (const char* command : {"delete-all", "cleanup"}) {
    for (const char* answer : {"", "\n", "n\n", "yess\n", "no\ny\n"}) {
      const Result result = Tool({"object", command, "a"}, answer, true);
      EXPECT_EQ(result.status, 1) << answer;
      EXPECT_EQ(result.out, "");
      EXPECT_EQ(result.err, "delete everything of a? [y/N] holdfast: nothing was done\n");
    }
    EXPECT_EQ(Tool({"object", command, "a"}, std::string(1000, 'y'), true).status, 1);
    EXPECT_EQ(calls_, Calls{});
    for (const char* answer : {"y\n", " YES \n", "y"}) {
      EXPECT_EQ(Tool({"object", command, "a"}, answer, true).status, 0) << answer;
    }
    EXPECT_EQ(calls_.size(), 3u);
    const Result unasked = Tool({"object", command, "a", "--yes"}, "n\n", true);
    EXPECT_EQ(unasked.status, 0);
    EXPECT_EQ(unasked.err, "");
    EXPECT_EQ(calls_.size(), 4u);
    calls_.clear();
  }
  EXPECT_EQ(Tool({"object", "cleanup", "a", "--class", "Counter", "--namespace", "n"}, "n\n", true).err,
            "delete everything of a of class Counter in namespace n? [y/N] holdfast: nothing was done\n");
}

TEST_F(RemovalToolTest, AnObjectThatDoesNotExistIsAFailure) {
  exists_ = false;
  for (const char* command : {"delete-all", "cleanup", "describe"}) {
    const Result result = Tool({"object", command, "a", "--class", "Counter"}, "y\n", true);
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "holdfast: NOT_FOUND: object a of class Counter does not exist (NOT_FOUND)\n");
  }
  EXPECT_EQ(Tool({"object", "cleanup", "a", "--json"}).err,
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"object a does not exist\",\"reason\":\"NOT_FOUND\"}}\n");
  const Result described = Tool({"object", "describe", "a", "--json"});
  EXPECT_EQ(described.status, 1);
  EXPECT_EQ(described.out, "");
  EXPECT_EQ(calls_, Calls{});
}

TEST_F(RemovalToolTest, ARepetitionIsNotRefusedForWhatTheFirstOneRemoved) {
  exists_ = false;
  EXPECT_EQ(Tool({"object", "cleanup", "a", "--request-id", "once"}).status, 0);
  EXPECT_EQ(calls_, Calls{"object { name: \"a\" }"});
}

TEST_F(RemovalToolTest, WhatCannotBeDescribedIsRemovedAllTheSame) {
  describe_status_ = Error(grpc::StatusCode::DATA_LOSS, "the database is damaged", "SQL_ERROR");
  EXPECT_EQ(Tool({"object", "cleanup", "a"}).status, 0);
  EXPECT_EQ(calls_.size(), 1u);
  describe_status_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection lost");
  EXPECT_EQ(Tool({"object", "cleanup", "a", "--retries", "0"}).status, 1);
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(ObjectToolTest, Objects) {
  v1::ListObjectsResponse reply;
  v1::ObjectSummary& object = *reply.add_objects();
  object.mutable_object()->set_name("visits");
  object.mutable_object()->set_object_class("Counter");
  object.mutable_create_time()->set_seconds(1'700'000'000);
  object.mutable_update_time()->set_seconds(1'700'000'060);
  object.set_size_bytes(12);
  reply.set_next_page_token("more");
  ReplyTo<v1::ListObjectsRequest>("ListObjects", reply);
  const Result result = Tool({"object", "objects", "--class", "Counter", "--prefix", "v", "--namespace", "n"});
  EXPECT_EQ(request_, "namespace: \"n\" object_class: \"Counter\" name_prefix: \"v\"");
  EXPECT_EQ(result.out,
            "CLASS    BYTES  UPDATED               NAME\n"
            "Counter  12     2023-11-14T22:14:20Z  visits\n");
  EXPECT_EQ(result.err, "holdfast: there is more: --page-token more, or --all\n");
  EXPECT_EQ(Tool({"object", "objects", "--json"}).out,
            "{\"object\":{\"namespace\":\"\",\"name\":\"visits\",\"object_class\":\"Counter\"},"
            "\"size_bytes\":\"12\",\"create_time\":\"2023-11-14T22:13:20Z\","
            "\"update_time\":\"2023-11-14T22:14:20Z\"}\n");
}

TEST_F(ObjectToolTest, DescribeAndPassivate) {
  v1::DescribeObjectResponse reply;
  reply.mutable_summary()->mutable_object()->set_name("o");
  reply.mutable_summary()->mutable_object()->set_object_class("Object");
  reply.mutable_summary()->mutable_create_time()->set_seconds(1'700'000'000);
  reply.mutable_summary()->set_size_bytes(5);
  reply.set_placement(v1::PLACEMENT_OWN_COLUMN_FAMILY);
  reply.set_activation_state(v1::ActivationState(77));
  reply.set_exists(true);
  reply.set_key_count(2);
  reply.mutable_alarm_time()->set_seconds(1'700'000'000);
  reply.set_shard(200);
  reply.add_tables()->set_name("t");
  ReplyTo<v1::DescribeObjectRequest>("DescribeObject", reply);
  EXPECT_EQ(Tool({"object", "describe", "o"}).out,
            "name       o\n"
            "class      Object\n"
            "created    2023-11-14T22:13:20Z\n"
            "bytes      5\n"
            "keys       2\n"
            "alarm      2023-11-14T22:13:20Z\n"
            "in memory  77\n"
            "waiting    0\n"
            "on disk    own column family\n"
            "shard      200\n"
            "TABLE  ROWS  SQL\n"
            "t      0\n");
  reply.mutable_summary()->mutable_object()->set_object_class("BatchProcessor");
  reply.set_schema_version(2);
  reply.mutable_alarm()->set_retry_count(3);
  reply.mutable_alarm()->mutable_due_time()->set_seconds(1'700'000'060);
  reply.mutable_alarm_delivery()->mutable_lease_expire_time()->set_seconds(1'700'000'030);
  ReplyTo<v1::DescribeObjectRequest>("DescribeObject", reply);
  EXPECT_THAT(Tool({"object", "describe", "o", "--class", "BatchProcessor"}).out,
              testing::AllOf(testing::HasSubstr("\nrecord version  2\n"),
                             testing::HasSubstr("\nalarm retry     3, due 2023-11-14T22:14:20Z\n"),
                             testing::HasSubstr("\ndelivery        retry 0, lease until 2023-11-14T22:13:50Z\n")));
  ReplyTo<v1::PassivateObjectRequest, v1::PassivateObjectResponse>("PassivateObject");
  EXPECT_EQ(Tool({"object", "passivate", "o", "--class", "Counter"}).out, "passivated\n");
  EXPECT_EQ(request_, "object { name: \"o\" object_class: \"Counter\" }");
}

TEST_F(ObjectToolTest, DescribeTellsTheVersionThatMigrationsHaveLeft) {
  v1::DescribeObjectResponse reply;
  reply.mutable_summary()->mutable_object()->set_name("o");
  reply.mutable_summary()->mutable_object()->set_object_class("Object");
  reply.set_exists(true);
  reply.add_tables()->set_name("_meta");
  ReplyTo<v1::DescribeObjectRequest>("DescribeObject", reply);
  v1::ExecuteSqlResponse version;
  version.add_results()->add_rows()->add_values()->set_text("7");
  ReplyTo<v1::ExecuteSqlRequest>("ExecuteSql", version);
  EXPECT_NE(Tool({"object", "describe", "o", "--namespace", "n"}).out.find("\nschema version  7\n"), std::string::npos);
  EXPECT_EQ(request_,
            "object { namespace: \"n\" name: \"o\" } statements { sql: \"SELECT CAST(value AS TEXT) FROM _meta WHERE "
            "key = \\'schema_version\\'\" }");
  // A table of the client's own with this name does not make the command fail.
  Fail<v1::ExecuteSqlRequest, v1::ExecuteSqlResponse>(
      "/holdfast.v1.ObjectService/ExecuteSql",
      Error(grpc::StatusCode::INVALID_ARGUMENT, "no such column: value", "SQL_ERROR"));
  const Result result = Tool({"object", "describe", "o"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.find("version"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace holdfast::client
