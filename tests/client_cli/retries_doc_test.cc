// The table of docs/retries.md has every code and every reason, and describes the client library. The service configs
// for gRPC's own retries name every method, and gRPC accepts them.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/retry.h"
#include "client/status.h"
#include "holdfast/v1/batch_processor_service.pb.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/errors.pb.h"
#include "holdfast/v1/object_service.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "holdfast/v1/user_cache_service.pb.h"
#include "tests/client_cli/fake_server.h"

namespace holdfast::client {
namespace {

constexpr char kNone[] = "none";
constexpr int kCodes = 17;

std::string ReadSource(const std::string& path) {
  std::ifstream file(absl::StrCat(HOLDFAST_SOURCE, "/", path));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> LinesOf(const std::string& path) { return absl::StrSplit(ReadSource(path), '\n'); }

struct Row {
  std::string code;
  std::string reason;
  bool retry_info;
  bool may_have_happened;
  std::string does;
};

std::vector<Row> Rows() {
  std::vector<Row> rows;
  for (const std::string& line : LinesOf("docs/retries.md")) {
    std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() != 6 || cells[1] == "reason") continue;
    rows.push_back(
        {std::string(absl::StripPrefix(cells[0], "| ")), cells[1], cells[2] == "yes", cells[3] == "yes", cells[4]});
    EXPECT_TRUE(cells[2] == "yes" || cells[2] == "no") << line;
    EXPECT_TRUE(cells[3] == "yes" || cells[3] == "no") << line;
  }
  return rows;
}

std::string NameOf(int code) { return absl::StatusCodeToString(static_cast<absl::StatusCode>(code)); }

// Returns the code of each reason. Its comment in errors.proto begins with the code.
std::map<std::string, std::string> ReasonsOfProto() {
  std::map<std::string, std::string> codes;
  std::string code;
  for (const std::string& line : LinesOf("proto/holdfast/v1/errors.proto")) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "  // ")) {
      if (code.empty()) code = std::string(rest.substr(0, rest.find_first_of(":,")));
    } else if (absl::ConsumePrefix(&rest, "  ERROR_REASON_")) {
      codes[std::string(rest.substr(0, rest.find(' ')))] = code;
      code.clear();
    }
  }
  codes.erase("UNSPECIFIED");
  return codes;
}

TEST(RetriesDocTest, TheTableHasEveryReasonOnceWithItsCode) {
  const auto of_proto = ReasonsOfProto();
  std::map<std::string, std::string> of_table;
  for (const Row& row : Rows()) {
    if (row.reason != kNone) EXPECT_TRUE(of_table.emplace(row.reason, row.code).second) << row.reason << " twice";
  }
  EXPECT_EQ(of_table, of_proto);
  // The comments were parsed correctly: the proto has these reasons and the one that is not sent.
  EXPECT_EQ(of_proto.size() + 1, static_cast<size_t>(v1::ErrorReason_descriptor()->value_count()));
}

TEST(RetriesDocTest, TheTableHasEveryCodeOfGrpc) {
  std::set<std::string> of_grpc;
  for (int code = 0; code < kCodes; ++code) of_grpc.insert(NameOf(code));
  std::set<std::string> of_table;
  for (const Row& row : Rows()) {
    // An error of gRPC, or of a proxy, may have any code.
    if (row.reason == kNone) EXPECT_TRUE(of_table.insert(row.code).second) << row.code << " twice";
  }
  EXPECT_EQ(of_table, of_grpc);
}

TEST(RetriesDocTest, TheClientLibraryDoesWhatTheTableSays) {
  int rows = 0;
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.code + " " + row.reason);
    if (row.code == "OK") continue;
    int code = 1;
    while (code < kCodes && NameOf(code) != row.code) ++code;
    ASSERT_LT(code, kCodes);
    const auto grpc_code = static_cast<grpc::StatusCode>(code);
    grpc::Status error(grpc_code, "");
    if (row.reason != kNone) {
      error = row.retry_info ? Error(grpc_code, "", row.reason, RetryAfterMs(1)) : Error(grpc_code, "", row.reason);
    }
    const absl::Status status = FromGrpcStatus(error);
    EXPECT_EQ(OutcomeUnknown(status), row.may_have_happened);
    // The library retries UNAVAILABLE; it leaves other unknown outcomes to its caller.
    EXPECT_EQ(IsRetryable(status), row.does == "retry" || (row.does == "same id" && row.code == "UNAVAILABLE"));
    EXPECT_EQ(row.retry_info, row.does == "retry");
    EXPECT_TRUE(row.does == "retry" || row.does == "same id" || row.does == "read again" || row.does == "give up");
    if (row.does == "same id") EXPECT_TRUE(row.may_have_happened);
    if (row.does == "read again" || row.does == "retry") EXPECT_FALSE(row.may_have_happened);
    ++rows;
  }
  EXPECT_GT(rows, 30);
}

class ServiceConfigTest : public testing::TestWithParam<std::string> {
 protected:
  google::protobuf::Struct Config() const {
    google::protobuf::Struct config;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(ReadSource("client/" + GetParam()), &config).ok());
    return config;
  }
  bool with_ids() const { return GetParam().find("with_ids") != std::string::npos; }
};

TEST_P(ServiceConfigTest, NamesEveryUnaryMethodThatMayBeRetried) {
  std::set<std::string> expected = {"grpc.health.v1.Health/Check"};
  for (const char* file : {"counter", "rate_limiter", "batch_processor", "user_cache", "object"}) {
    const auto* const found = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(
        absl::StrCat("holdfast/v1/", file, "_service.proto"));
    ASSERT_NE(found, nullptr) << file;
    for (int i = 0; i < found->service(0)->method_count(); ++i) {
      const auto& method = *found->service(0)->method(i);
      if (method.client_streaming() || method.server_streaming()) continue;
      const bool changes =
          method.input_type()->FindFieldByName("request_id") != nullptr || method.name() == "BatchIncrement";
      if (!changes || with_ids()) expected.insert(absl::StrCat(method.service()->full_name(), "/", method.name()));
    }
  }
  std::set<std::string> named;
  const auto config = Config();
  ASSERT_EQ(config.fields().at("methodConfig").list_value().values_size(), 1);
  for (const auto& name : config.fields()
                              .at("methodConfig")
                              .list_value()
                              .values(0)
                              .struct_value()
                              .fields()
                              .at("name")
                              .list_value()
                              .values()) {
    const auto& fields = name.struct_value().fields();
    named.insert(absl::StrCat(fields.at("service").string_value(), "/", fields.at("method").string_value()));
  }
  EXPECT_EQ(named, expected);
}

TEST_P(ServiceConfigTest, RetriesTheCodesThatTheTableRetriesForEveryReason) {
  std::map<std::string, bool> always;
  for (const Row& row : Rows()) {
    const bool again = row.does == "retry" || row.does == "same id";
    const auto [it, first] = always.emplace(row.code, again);
    if (!first) it->second = it->second && again;
  }
  // gRPC would retry these codes also where a caller must not, so that the config leaves them to the caller.
  for (const char* code : {"UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED"}) always.erase(code);
  std::set<std::string> expected;
  for (const auto& [code, again] : always) {
    if (again) expected.insert(code);
  }
  std::set<std::string> retried;
  const auto config = Config();
  const auto& policy = config.fields()
                           .at("methodConfig")
                           .list_value()
                           .values(0)
                           .struct_value()
                           .fields()
                           .at("retryPolicy")
                           .struct_value();
  for (const auto& code : policy.fields().at("retryableStatusCodes").list_value().values()) {
    retried.insert(code.string_value());
  }
  EXPECT_EQ(retried, expected);
}

TEST_P(ServiceConfigTest, GrpcRetriesAsItSays) {
  FakeServer server;
  int reads = 0;
  int changes = 0;
  const grpc::Status draining = Error(grpc::StatusCode::UNAVAILABLE, "", "DRAINING", RetryAfterMs(1));
  server.On<v1::GetValueRequest, v1::GetValueResponse>("/holdfast.v1.CounterService/GetValue", [&](const auto&, auto*) {
    return ++reads < 3 ? draining : grpc::Status::OK;
  });
  server.On<v1::IncrementRequest, v1::IncrementResponse>(
      "/holdfast.v1.CounterService/Increment",
      [&](const auto&, auto*) { return ++changes < 3 ? draining : grpc::Status::OK; });
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(ReadSource("client/" + GetParam()));
  const auto stub = v1::CounterService::NewStub(
      grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext reading;
  v1::GetValueResponse value;
  EXPECT_TRUE(stub->GetValue(&reading, v1::GetValueRequest(), &value).ok());
  EXPECT_EQ(reads, 3);
  grpc::ClientContext changing;
  v1::IncrementResponse changed;
  EXPECT_EQ(stub->Increment(&changing, v1::IncrementRequest(), &changed).ok(), with_ids());
  EXPECT_EQ(changes, with_ids() ? 3 : 1);
}

INSTANTIATE_TEST_SUITE_P(Both, ServiceConfigTest,
                         testing::Values("service_config.json", "service_config_with_ids.json"), [](const auto& info) {
                           return std::string(info.param == "service_config.json" ? "Reads" : "WithIds");
                         });

}  // namespace
}  // namespace holdfast::client
