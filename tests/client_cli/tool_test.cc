#include "client/tool.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/client_cli/fake_server.h"
#include "tests/client_cli/tool_test.h"

namespace holdfast::client {
namespace {

using grpc::Status;
using grpc::StatusCode;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kCounter[] = "/holdfast.v1.CounterService/";
constexpr char kLimiter[] = "/holdfast.v1.RateLimiterService/";
constexpr char kBatch[] = "/holdfast.v1.BatchProcessorService/";
constexpr char kUsers[] = "/holdfast.v1.UserCacheService/";

TEST_F(ToolTest, HelpAndVersion) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--help"}, {"counter", "--help"}, {"counter", "stream", "-h"}, {"--version"}}) {
    const Result result = Tool(words);
    EXPECT_EQ(result.status, 0);
    EXPECT_NE(result.out, "");
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(ToolTest, BadUsage) {
  ExpectUsage({}, "a command is missing");
  ExpectUsage({"object", "alarm"}, "a command is missing");
  ExpectUsage({"bogus"}, "unknown command or argument: bogus");
  ExpectUsage({"counter", "incr", "[x]"}, "unknown command or argument: incr [x]; did you mean increment?");
  ExpectUsage({"counter", "get"}, "NAME is required");
  ExpectUsage({"counter", "get", "a", "--bogus"}, "The following argument was not expected: --bogus");
  ExpectUsage({"counter", "increment", "a", "--amount", "1x"}, "--amount: '1x' is not a whole number of 64 bits");
  ExpectUsage({"counter", "get", "a", "--timeout", "0s"}, "--timeout: must be from 1ms to 24h");
  ExpectUsage({"limit", "check", "a", "--key", "k", "--limit", "1"}, "--window is required");
  ExpectUsage({"limit", "check-many", "a", "--check", "key=k,limit=1"}, "--check: 'window' is missing");
  ExpectUsage({"limit", "check-many", "a", "--check", "key=k,key=k"}, "--check: 'key' is there twice");
  ExpectUsage({"batch", "configure", "a"}, "give one of --delay, --max-items, --retention");
  ExpectUsage({"user", "update", "c", "u", "--attribute", "city=Paris"},
              "--attribute: 'Paris' is not JSON; a text needs quotes: 'city=\"Paris\"'");
  ExpectUsage({"user", "update", "c", "u", "--name", ""}, "to clear a name or an email, name it in --mask too");
  ExpectUsage({"user", "update", "c", "u", "--mask", ""}, "--mask: names no field");
}

TEST_F(ToolTest, WhatIsUnknownSuggestsTheNearest) {
  ExpectUsage({"conter", "get", "a"}, "unknown command or argument: conter get a; did you mean counter?");
  ExpectUsage({"object", "alarm", "gte", "a"}, "unknown command or argument: gte a; did you mean get?");
  ExpectUsage({"objects"}, "unknown command or argument: objects; did you mean object objects?");
  ExpectUsage({"describe", "a"}, "unknown command or argument: describe a; did you mean object describe?");
  ExpectUsage({"alarm", "get"}, "unknown command or argument: alarm get; did you mean object alarm?");
  ExpectUsage({"extend"}, "unknown command or argument: extend; did you mean object alarm extend?");
  ExpectUsage({"object", "list", "o", "--limti", "5"},
              "The following arguments were not expected: 5 --limti; did you mean --limit?");
  ExpectUsage({"object", "list", "o", "--limti=5"},
              "The following argument was not expected: --limti=5; did you mean --limit?");
  ExpectUsage({"counter", "get", "a", "--jsn"}, "The following argument was not expected: --jsn; did you mean --json?");
  ExpectUsage({"limit", "check", "a", "--kye", "k"}, "unknown command or argument: --kye k; did you mean --key?");
  ExpectUsage({"counter", "get", "a", "gte"}, "The following argument was not expected: gte");
}

TEST_F(ToolTest, UnreachableServer) {
  const Result result = Tool({"counter", "get", "a", "--server", "127.0.0.1:1", "--timeout", "300ms"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err.rfind("holdfast: UNAVAILABLE: ", 0), 0u) << result.err;
}

TEST_F(ToolTest, GlobalOptionsBeforeAndAfter) {
  Reply<v1::IncrementRequest, v1::IncrementResponse>(kCounter + std::string("Increment"));
  EXPECT_EQ(Tool({"--namespace", "n1", "counter", "--json", "increment", "a", "--amount", "-5"}).out,
            "{\"value\":\"0\"}\n");
  EXPECT_EQ(request_, "object { namespace: \"n1\" name: \"a\" } amount: -5");
  EXPECT_EQ(Tool({"counter", "increment", "a", "--namespace=n2"}).out, "0\n");
  EXPECT_EQ(request_, "object { namespace: \"n2\" name: \"a\" }");
}

TEST_F(ToolTest, TheNamespaceOfTheEnvironmentIsTheDefault) {
  Reply<v1::IncrementRequest, v1::IncrementResponse>(kCounter + std::string("Increment"));
  setenv("HOLDFAST_NAMESPACE", "shop", 1);
  EXPECT_EQ(Tool({"counter", "increment", "a"}).status, 0);
  EXPECT_EQ(request_, "object { namespace: \"shop\" name: \"a\" }");
  EXPECT_EQ(Tool({"counter", "increment", "a", "--namespace", "n"}).status, 0);
  EXPECT_EQ(request_, "object { namespace: \"n\" name: \"a\" }");
  setenv("HOLDFAST_NAMESPACE", "\xff", 1);
  ExpectUsage({"counter", "increment", "a"}, "HOLDFAST_NAMESPACE: is not UTF-8");
  setenv("HOLDFAST_NAMESPACE", "", 1);
  EXPECT_EQ(Tool({"counter", "increment", "a"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"a\" }");
}

TEST_F(ToolTest, AnImpliedClassCanBeGiven) {
  Reply<v1::GetValueRequest, v1::GetValueResponse>(kCounter + std::string("GetValue"));
  EXPECT_EQ(Tool({"counter", "get", "a", "--class", "Counter"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"a\" }");
  Reply<v1::BatchIncrementRequest, v1::BatchIncrementResponse>(kCounter + std::string("BatchIncrement"));
  EXPECT_EQ(Tool({"counter", "batch-increment", "a", "--class", "Counter"}).status, 0);
  ExpectUsage({"counter", "get", "a", "--class", "Object"},
              "--class: 'Object' is not Counter, the only class that this command is for");
  ExpectUsage({"limit", "reset", "a", "--key", "k", "--class", "Counter"},
              "--class: 'Counter' is not RateLimiter, the only class that this command is for");
  ExpectUsage({"batch", "flush", "a", "--class", ""},
              "--class: '' is not BatchProcessor, the only class that this command is for");
  ExpectUsage({"user", "get", "a", "u", "--class", "usercache"},
              "--class: 'usercache' is not UserCache, the only class that this command is for");
  ExpectUsage({"counter", "stream", "a", "--class", "Object"},
              "--class: 'Object' is not Counter, the only class that this command is for");
}

TEST_F(ToolTest, AUrlIsNoServer) {
  const std::string message = ": 'http://127.0.0.1:50051' is a URL; the form is HOST:PORT, as in 127.0.0.1:50051";
  ExpectUsage({"health", "--server", "http://127.0.0.1:50051"}, "--server" + message);
  setenv("HOLDFAST_SERVER", "http://127.0.0.1:50051", 1);
  ExpectUsage({"health"}, "HOLDFAST_SERVER" + message);
}

TEST_F(ToolTest, NamesThatLookLikeSomethingElse) {
  Reply<v1::GetValueRequest, v1::GetValueResponse>(kCounter + std::string("GetValue"));
  for (const std::string name : {"get", "counter", "health", "[a,b]", "++", "%%", "{}", "", "\x1f", "a b"}) {
    EXPECT_EQ(Tool({"counter", "get", name}).status, 0) << name;
    v1::GetValueRequest expected;
    expected.mutable_object()->set_name(name);
    EXPECT_EQ(request_, expected.ShortDebugString());
  }
  EXPECT_EQ(Tool({"counter", "get", "--", "--name"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"--name\" }");
}

TEST_F(ToolTest, BatchIncrement) {
  v1::BatchIncrementResponse reply;
  reply.add_results()->mutable_response()->set_value(3);
  v1::ItemError* error = reply.add_results()->mutable_error();
  error->set_code(StatusCode::OUT_OF_RANGE);
  error->set_message("too large");
  google::rpc::ErrorInfo info;
  info.set_domain("holdfast");
  info.set_reason("COUNTER_OVERFLOW");
  error->add_details()->PackFrom(info);
  Reply<v1::BatchIncrementRequest, v1::BatchIncrementResponse>(kCounter + std::string("BatchIncrement"), reply);

  Result result = Tool({"counter", "batch-increment", "one", "reset", "--amount", "3", "--namespace", "n"});
  EXPECT_EQ(request_,
            "increments { object { namespace: \"n\" name: \"one\" } amount: 3 } "
            "increments { object { namespace: \"n\" name: \"reset\" } amount: 3 }");
  EXPECT_EQ(result.out, "one    3\nreset  error: OUT_OF_RANGE: too large (COUNTER_OVERFLOW)\n");
  EXPECT_EQ(result.status, 1);
  result = Tool({"counter", "batch-increment", "one", "reset", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("\"reason\":\"COUNTER_OVERFLOW\""), std::string::npos) << result.out;
}

TEST_F(ToolTest, Stream) {
  int64_t value = 0;
  server_.On<v1::StreamIncrementRequest, v1::StreamIncrementResponse>(
      kCounter + std::string("StreamIncrement"), [&](const auto& request, auto* response) {
        request_ += request.increment().object().name() + " ";
        value += request.increment().amount();
        response->mutable_result()->mutable_response()->set_value(value);
        return Status::OK;
      });
  EXPECT_EQ(Tool({"counter", "stream", "a", "long", "--count", "2", "--amount", "5"}).out,
            "a     5\nlong  10\na     15\nlong  20\n");
  EXPECT_EQ(request_, "a long a long ");
  EXPECT_EQ(Tool({"counter", "stream", "a", "--json", "--amount", "1"}).out, "{\"response\":{\"value\":\"21\"}}\n");
}

TEST_F(ToolTest, LimitCheck) {
  v1::CheckLimitResponse reply;
  reply.set_limit(5);
  reply.mutable_retry_after()->set_nanos(500'000'000);
  reply.mutable_reset_after()->set_seconds(90);
  Reply<v1::CheckLimitRequest, v1::CheckLimitResponse>(kLimiter + std::string("CheckLimit"), reply);
  const std::vector<std::string> words = {"limit", "check",  "api", "--key",       "alice", "--limit", "5", "--window",
                                          "1m30s", "--cost", "2",   "--algorithm", "gcra",  "--burst", "3"};
  Result result = Tool(words);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "allowed      no\nlimit        5\nremaining    0\nretry after  500ms\nreset after  1m30s\n");
  EXPECT_EQ(request_,
            "object { name: \"api\" } check { key: \"alice\" limit: 5 window { seconds: 90 } cost: 2 "
            "algorithm: RATE_LIMIT_ALGORITHM_GCRA burst: 3 }");
  std::vector<std::string> with_exit_code = words;
  with_exit_code.push_back("--exit-code");
  with_exit_code.push_back("--peek");
  result = Tool(with_exit_code);
  EXPECT_EQ(result.status, 3);
  EXPECT_NE(request_.find("peek: true"), std::string::npos);
  with_exit_code.push_back("--json");
  EXPECT_EQ(Tool(with_exit_code).status, 3);
}

TEST_F(ToolTest, LimitCheckMany) {
  v1::CheckLimitsResponse reply;
  reply.set_allowed(true);
  for (int i = 0; i < 2; ++i) reply.add_results()->set_allowed(true);
  Reply<v1::CheckLimitsRequest, v1::CheckLimitsResponse>(kLimiter + std::string("CheckLimits"), reply);
  const Result result = Tool({"limit", "check-many", "--check", "key=a=b,limit=5,window=10s", "api", "--check",
                              "window=1s,algorithm=fixed-window,cost=2,limit=3,key=c", "--exit-code"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(request_,
            "object { name: \"api\" } checks { key: \"a=b\" limit: 5 window { seconds: 10 } } "
            "checks { key: \"c\" limit: 3 window { seconds: 1 } cost: 2 "
            "algorithm: RATE_LIMIT_ALGORITHM_FIXED_WINDOW }");
  EXPECT_EQ(result.out,
            "allowed\n"
            "KEY  ALLOWED  LIMIT  REMAINING  RETRY AFTER  RESET AFTER\n"
            "a=b  yes      0      0          0s           0s\n"
            "c    yes      0      0          0s           0s\n");
}

TEST_F(ToolTest, LimitReset) {
  Reply<v1::ResetLimitRequest, v1::ResetLimitResponse>(kLimiter + std::string("ResetLimit"));
  EXPECT_EQ(Tool({"limit", "reset", "api", "--key", "[k]"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"api\" } key: \"[k]\"");
  EXPECT_EQ(Tool({"limit", "reset", "api", "--key=[k]", "--json"}).out, "{}\n");
  EXPECT_EQ(request_, "object { name: \"api\" } key: \"[k]\"");
}

TEST_F(ToolTest, BatchAddKeepsItemsAsTheyAre) {
  v1::AddItemsResponse reply;
  reply.set_first_sequence(4);
  reply.set_pending_count(2);
  Reply<v1::AddItemsRequest, v1::AddItemsResponse>(kBatch + std::string("AddItems"), reply);
  const Result result =
      Tool({"batch", "add", "q", "[1,2]", "list", "{\"a\":1}", "++", "%%", "{}", "\x1f[", "--", "-x", "--y=", "[z"});
  EXPECT_EQ(result.out, "first sequence  4\npending         2\n");
  EXPECT_EQ(request_,
            "object { name: \"q\" } items: \"[1,2]\" items: \"list\" items: \"{\\\"a\\\":1}\" items: \"++\" "
            "items: \"%%\" items: \"{}\" items: \"\\037[\" items: \"-x\" items: \"--y=\" items: \"[z\"");
}

TEST_F(ToolTest, AMinusIsTheTextOfTheStandardInput) {
  Reply<v1::AddItemsRequest, v1::AddItemsResponse>(kBatch + std::string("AddItems"));
  EXPECT_EQ(Tool({"batch", "add", "q", "a", "-", "b"}, "x\ny\n").status, 0);
  EXPECT_EQ(request_, "object { name: \"q\" } items: \"a\" items: \"x\\ny\" items: \"b\"");
  Result result = Tool({"batch", "add", "q", "-"}, "\xff");
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err.rfind("holdfast: ITEM: the standard input is not UTF-8\n", 0), 0u) << result.err;
  result = Tool({"batch", "add", "q", "-"}, std::string((4 << 20) + 1, 'x'));
  EXPECT_EQ(result.err.rfind("holdfast: ITEM: the standard input is over 4 MiB\n", 0), 0u) << result.err;
  ExpectUsage({"batch", "add", "q", "-", "-"}, "ITEM: the standard input can be read for one value only");
  Reply<v1::UpdateUserRequest, v1::UpdateUserResponse>(kUsers + std::string("UpdateUser"));
  EXPECT_EQ(Tool({"user", "update", "c", "u", "--name", "-"}, "Ada\n").status, 0);
  EXPECT_EQ(request_, "object { name: \"c\" } user { id: \"u\" name: \"Ada\" } allow_missing: true");
  EXPECT_EQ(Tool({"user", "update", "c", "u", "--email=-"}, "a@b").status, 0);
  EXPECT_EQ(request_, "object { name: \"c\" } user { id: \"u\" email: \"a@b\" } allow_missing: true");
  EXPECT_EQ(Tool({"user", "update", "c", "u", "--attribute", "n=-"}, "[\n1]\n").status, 0);
  EXPECT_EQ(request_,
            "object { name: \"c\" } user { id: \"u\" attributes { fields { key: \"n\" value { list_value { values { "
            "number_value: 1 } } } } } } allow_missing: true");
}

TEST_F(ToolTest, BatchConfigureMasksWhatIsGiven) {
  Reply<v1::ConfigureBatchRequest, v1::ConfigureBatchResponse>(kBatch + std::string("ConfigureBatch"));
  EXPECT_EQ(Tool({"batch", "configure", "q", "--retention", "168h", "--max-items", "10"}).status, 0);
  EXPECT_EQ(request_,
            "object { name: \"q\" } config { max_items: 10 retention { seconds: 604800 } } "
            "update_mask { paths: \"max_items\" paths: \"retention\" }");
}

TEST_F(ToolTest, TheOtherBatchCommands) {
  Reply<v1::FlushBatchRequest, v1::FlushBatchResponse>(kBatch + std::string("FlushBatch"));
  Reply<v1::TrimProcessedItemsRequest, v1::TrimProcessedItemsResponse>(kBatch + std::string("TrimProcessedItems"));
  v1::GetBatchStatusResponse status;
  status.set_processed_count(12);
  status.mutable_next_flush_time()->set_seconds(1'700'000'000);
  status.mutable_config()->mutable_delay()->set_seconds(5);
  Reply<v1::GetBatchStatusRequest, v1::GetBatchStatusResponse>(kBatch + std::string("GetBatchStatus"), status);
  EXPECT_EQ(Tool({"batch", "flush", "q"}).out, "processed  0\n");
  EXPECT_EQ(Tool({"batch", "trim", "q", "--up-to", "9"}).out, "removed  0\n");
  EXPECT_EQ(request_, "object { name: \"q\" } up_to_sequence: 9");
  EXPECT_EQ(Tool({"batch", "status", "q"}).out,
            "pending     0\nprocessed   12\nnext flush  2023-11-14T22:13:20Z\ndelay       5s\nmax items   0\n"
            "retention   0s\n");
}

class PagesTest : public ToolTest {
 protected:
  // The server has three pages of one item each.
  void SetUp() override {
    ToolTest::SetUp();
    server_.On<v1::ListProcessedItemsRequest, v1::ListProcessedItemsResponse>(
        kBatch + std::string("ListProcessedItems"), [this](const auto& request, auto* response) {
          request_ = request.ShortDebugString();
          const int page = request.page_token().empty() ? 1 : std::stoi(request.page_token());
          auto* item = response->add_items();
          item->set_sequence(page);
          item->set_item("item" + std::to_string(page));
          item->mutable_process_time()->set_seconds(1'700'000'000);
          if (page < 3) response->set_next_page_token(std::to_string(page + 1));
          return Status::OK;
        });
  }
};

TEST_F(PagesTest, OnePage) {
  const Result result = Tool({"batch", "list", "q", "--after", "7", "--page-size", "1", "--page-token", "2"});
  EXPECT_EQ(request_, "object { name: \"q\" } page_size: 1 page_token: \"2\" after_sequence: 7");
  EXPECT_EQ(result.out, "SEQUENCE  PROCESSED             ITEM\n2         2023-11-14T22:13:20Z  item2\n");
  EXPECT_EQ(result.err, "holdfast: there is more: --page-token 3, or --all\n");
}

TEST_F(PagesTest, AllPages) {
  Result result = Tool({"batch", "list", "q", "--all"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out,
            "SEQUENCE  PROCESSED             ITEM\n"
            "1         2023-11-14T22:13:20Z  item1\n"
            "2         2023-11-14T22:13:20Z  item2\n"
            "3         2023-11-14T22:13:20Z  item3\n");
  result = Tool({"batch", "list", "q", "--all", "--json"});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            "{\"sequence\":\"1\",\"item\":\"item1\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n"
            "{\"sequence\":\"2\",\"item\":\"item2\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n"
            "{\"sequence\":\"3\",\"item\":\"item3\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n");
  result = Tool({"batch", "list", "q", "--json"});
  EXPECT_EQ(result.out, "{\"sequence\":\"1\",\"item\":\"item1\",\"process_time\":\"2023-11-14T22:13:20Z\"}\n");
  EXPECT_EQ(result.err, "{\"next_page_token\":\"2\"}\n");
}

TEST_F(PagesTest, UsersAreLinesOfJson) {
  v1::ListUsersResponse reply;
  reply.add_users()->set_id("a");
  reply.add_users()->set_id("b");
  Reply<v1::ListUsersRequest, v1::ListUsersResponse>(kUsers + std::string("ListUsers"), reply);
  EXPECT_EQ(Tool({"user", "list", "c", "--json"}).out,
            "{\"id\":\"a\",\"name\":\"\",\"email\":\"\",\"etag\":\"\"}\n"
            "{\"id\":\"b\",\"name\":\"\",\"email\":\"\",\"etag\":\"\"}\n");
  Reply<v1::ListUsersRequest, v1::ListUsersResponse>(kUsers + std::string("ListUsers"));
  EXPECT_EQ(Tool({"user", "list", "c", "--json"}).out, "");
}

TEST_F(PagesTest, ATokenThatRepeatsItselfIsNotFollowed) {
  server_.On<v1::ListUsersRequest, v1::ListUsersResponse>(kUsers + std::string("ListUsers"),
                                                          [](const auto&, auto* response) {
                                                            response->set_next_page_token("same");
                                                            return Status::OK;
                                                          });
  EXPECT_EQ(Tool({"user", "list", "c", "--all"}).status, 1);
}

TEST_F(ToolTest, UserUpdate) {
  v1::UpdateUserResponse reply;
  reply.mutable_user()->set_id("u");
  reply.mutable_user()->set_etag("7");
  auto& attributes = *reply.mutable_user()->mutable_attributes()->mutable_fields();
  attributes["b"].set_string_value("x");
  attributes["a"].set_number_value(1.5);
  Reply<v1::UpdateUserRequest, v1::UpdateUserResponse>(kUsers + std::string("UpdateUser"), reply);

  EXPECT_EQ(Tool({"user", "update", "c", "u", "--name", "Alice", "--attribute", "n=[1, {\"x\": null}]",
                  "--remove-attribute", "old", "--etag", "6"})
                .out,
            "id           u\netag         7\nattribute a  1.5\nattribute b  \"x\"\n");
  EXPECT_EQ(request_,
            "object { name: \"c\" } user { id: \"u\" name: \"Alice\" attributes { fields { key: \"n\" value { "
            "list_value { values { number_value: 1 } values { struct_value { fields { key: \"x\" value { null_value: "
            "NULL_VALUE } } } } } } } } etag: \"6\" } allow_missing: true remove_attributes: \"old\"");
  EXPECT_EQ(Tool({"user", "update", "c", "u", "--name=", "--mask", "name,email", "--must-exist"}).status, 0);
  EXPECT_EQ(request_, "object { name: \"c\" } user { id: \"u\" } update_mask { paths: \"name\" paths: \"email\" }");
}

TEST_F(ToolTest, TheOtherUserCommands) {
  v1::User user;
  user.set_id("u");
  user.set_name("Alice");
  v1::GetUserResponse get;
  *get.mutable_user() = user;
  v1::BatchGetUsersResponse many;
  *many.add_users() = user;
  Reply<v1::GetUserRequest, v1::GetUserResponse>(kUsers + std::string("GetUser"), get);
  Reply<v1::BatchGetUsersRequest, v1::BatchGetUsersResponse>(kUsers + std::string("BatchGetUsers"), many);
  Reply<v1::DeleteUserRequest, v1::DeleteUserResponse>(kUsers + std::string("DeleteUser"));
  EXPECT_EQ(Tool({"user", "get", "c", "u"}).out, "id    u\nname  Alice\n");
  EXPECT_EQ(Tool({"user", "batch-get", "c", "u", "v"}).out, "ID  NAME   EMAIL  UPDATED\nu   Alice\nno user v\n");
  EXPECT_EQ(request_, "object { name: \"c\" } ids: \"u\" ids: \"v\"");
  EXPECT_EQ(Tool({"user", "delete", "c", "u", "--allow-missing", "--etag", "5"}).out, "deleted\n");
  EXPECT_EQ(request_, "object { name: \"c\" } id: \"u\" etag: \"5\" allow_missing: true");
}

TEST_F(ToolTest, Health) {
  const std::string check = "/grpc.health.v1.Health/Check";
  HealthCheckResponse reply;
  reply.set_status(HealthCheckResponse::SERVING);
  Reply<HealthCheckRequest, HealthCheckResponse>(check, reply);
  Result result = Tool({"health", "holdfast.v1.CounterService"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "SERVING\n");
  EXPECT_EQ(request_, "service: \"holdfast.v1.CounterService\"");
  reply.set_status(HealthCheckResponse::NOT_SERVING);
  Reply<HealthCheckRequest, HealthCheckResponse>(check, reply);
  EXPECT_EQ(Tool({"health"}).status, 1);
  EXPECT_EQ(Tool({"health", "--json"}).out, "{\"status\":\"NOT_SERVING\"}\n");
}

TEST_F(ToolTest, Errors) {
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field("object.name");
  violation->set_description("is \"empty\"");
  const std::string get = kCounter + std::string("GetValue");
  Fail<v1::GetValueRequest, v1::GetValueResponse>(
      get, Error(StatusCode::INVALID_ARGUMENT, "a field is wrong", "INVALID_FIELD", bad));
  Result result = Tool({"counter", "get", ""});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "holdfast: INVALID_ARGUMENT: a field is wrong (INVALID_FIELD)\n  object.name: is \"empty\"\n");
  result = Tool({"counter", "get", "", "--json"});
  EXPECT_EQ(result.err,
            "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"a field is wrong\",\"reason\":\"INVALID_FIELD\","
            "\"field_violations\":[{\"field\":\"object.name\",\"description\":\"is \\\"empty\\\"\"}]}}\n");

  Fail<v1::GetValueRequest, v1::GetValueResponse>(
      get, Error(StatusCode::UNAVAILABLE, "draining", "DRAINING", RetryAfterMs(500)));
  EXPECT_EQ(Tool({"counter", "get", "a", "--retries", "0"}).err,
            "holdfast: UNAVAILABLE: draining (DRAINING)\n  may succeed after 500ms\n");

  Fail<v1::IncrementRequest, v1::IncrementResponse>(kCounter + std::string("Increment"),
                                                    Error(StatusCode::UNAVAILABLE, "sync failed", "OUTCOME_UNKNOWN"));
  EXPECT_EQ(Tool({"counter", "increment", "a", "--retries", "0", "--request-id", "once"}).err,
            "holdfast: UNAVAILABLE: sync failed (OUTCOME_UNKNOWN)\n  it may or may not have happened\n"
            "  the same again with this has it happen once: --request-id once\n");
  EXPECT_EQ(Tool({"counter", "increment", "a", "--retries", "0", "--request-id", "once", "--json"}).err,
            "{\"error\":{\"code\":\"UNAVAILABLE\",\"message\":\"sync failed\",\"reason\":\"OUTCOME_UNKNOWN\","
            "\"outcome_unknown\":true,\"request_id\":\"once\"}}\n");
}

TEST_F(ToolTest, RequestIds) {
  Reply<v1::IncrementRequest, v1::IncrementResponse>(kCounter + std::string("Increment"));
  Reply<v1::BatchIncrementRequest, v1::BatchIncrementResponse>(kCounter + std::string("BatchIncrement"));
  Reply<v1::CheckLimitRequest, v1::CheckLimitResponse>(kLimiter + std::string("CheckLimit"));
  using Ids = std::vector<std::string>;
  EXPECT_EQ(Tool({"counter", "increment", "a", "--request-id", "once"}).status, 0);
  EXPECT_EQ(ids_, Ids{"once"});
  EXPECT_EQ(Tool({"counter", "increment", "a", "--retries", "0"}).status, 0);
  ASSERT_EQ(ids_.size(), 1u);
  EXPECT_EQ(ids_[0].size(), 32u);
  EXPECT_EQ(Tool({"counter", "batch-increment", "a", "b", "--request-id", "once"}).status, 0);
  EXPECT_EQ(ids_, (Ids{"once-0", "once-1"}));
  const std::vector<std::string> peek = {"limit",   "check", "a",        "--key", "k",
                                         "--limit", "1",     "--window", "1s",    "--peek"};
  EXPECT_EQ(Tool(peek).status, 0);
  EXPECT_EQ(ids_, Ids{""});
  ExpectUsage({"counter", "get", "a", "--request-id", "once"}, "this command takes no --request-id");
  ExpectUsage({"counter", "stream", "a", "--request-id", "once"}, "this command takes no --request-id");
  ExpectUsage({"counter", "increment", "a", "--request-id", ""}, "--request-id: is empty");
}

TEST_F(ToolTest, AChangeIsRetriedWithItsId) {
  std::vector<std::string> ids;
  server_.On<v1::IncrementRequest, v1::IncrementResponse>(
      kCounter + std::string("Increment"), [&ids](const auto& request, auto* response) {
        ids.push_back(request.request_id());
        response->set_value(1);
        return ids.size() < 3 ? Status(StatusCode::UNAVAILABLE, "connection lost") : Status::OK;
      });
  EXPECT_EQ(Tool({"counter", "increment", "a"}).out, "1\n");
  EXPECT_EQ(ids, std::vector<std::string>(3, ids[0]));
}

TEST_F(ToolTest, RetriesGoOnUntilTheTimeout) {
  int calls = 0;
  server_.On<v1::GetValueRequest, v1::GetValueResponse>(
      kCounter + std::string("GetValue"), [&calls](const auto&, auto* response) {
        response->set_value(1);
        return ++calls <= 5 ? Status(StatusCode::UNAVAILABLE, "connection lost") : Status::OK;
      });
  EXPECT_EQ(Tool({"counter", "get", "a", "--timeout", "60s"}).out, "1\n");
  EXPECT_EQ(calls, 6);
  calls = 0;
  EXPECT_EQ(Tool({"counter", "get", "a", "--retries", "1"}).status, 1);
  EXPECT_EQ(calls, 2);
}

// The tool runs in a process of its own: in this process the server would keep the client's gRPC at work, too.
TEST(ToolProcessTest, RetriesReachAServerThatComesUpMeanwhile) {
  const int port = FakeServer().port();
  const std::string command =
      std::string(HOLDFAST_TOOL) + " counter get a --timeout 20s --server 127.0.0.1:" + std::to_string(port);
  FILE* const tool = popen(command.c_str(), "r");
  ASSERT_NE(tool, nullptr);
  absl::SleepFor(absl::Seconds(1));
  const FakeServer server(port, [](FakeServer& fake) {
    fake.On<v1::GetValueRequest, v1::GetValueResponse>(kCounter + std::string("GetValue"),
                                                       [](const auto&, auto*) { return Status::OK; });
  });
  const absl::Time up = absl::Now();
  char out[16] = "";
  EXPECT_STREQ(fgets(out, sizeof(out), tool), "0\n");
  EXPECT_EQ(pclose(tool), 0);
  // If the tool did not wait for a connection, gRPC would try it every 5 s only.
  EXPECT_LT(absl::Now() - up, absl::Seconds(4));
}

TEST_F(ToolTest, OutputThatCannotBeWrittenIsAFailure) {
  Reply<v1::GetValueRequest, v1::GetValueResponse>(kCounter + std::string("GetValue"));
  std::istringstream in;
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  const char* const argv[] = {"holdfast", "counter", "get", "a"};
  EXPECT_EQ(RunTool(4, argv, {in}, out, err), 1);
}

}  // namespace
}  // namespace holdfast::client
