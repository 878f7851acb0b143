// The real envoyproxy/ratelimit on Redis beside Holdfast: the same files of rules and the same requests get the same
// answers, where both count in the same windows. That one counts in windows aligned to the Unix epoch, so Holdfast does
// here, too.
//
// They differ by design in one thing: there a denied request counts, here it does not (WhereTheyDiffer).

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/envoy/requests.h"
#include "tests/envoy/tool_process.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

constexpr int kRequests = 600;
// A run that meets the end of an hour is done again.
constexpr absl::Duration kRunMax = absl::Minutes(1);

class SideBySideTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"service_cmd", "redis-server"}) {
      if (ToolProcess::PathOf(name).empty()) GTEST_SKIP() << "there is no " << name << ": tests/envoy/install.sh";
    }
    StartTheirs();
    StartOurs();
  }

  void StartTheirs() {
    const std::string config = directory_.path() + "/theirs/ratelimit/config";
    std::filesystem::create_directories(config);
    for (const std::string& file : ExampleFiles()) {
      std::filesystem::copy(file, config + "/" + std::filesystem::path(file).filename().string());
    }
    const int redis_port = process::FreePort();
    const int port = process::FreePort();
    redis_ =
        std::make_unique<ToolProcess>("redis-server",
                                      std::vector<std::string>{"--port", absl::StrCat(redis_port), "--bind",
                                                               "127.0.0.1", "--save", "", "--dir", directory_.path()},
                                      std::vector<std::string>{}, redis_port, directory_.path() + "/redis.log");
    ratelimit_ = std::make_unique<ToolProcess>(
        "service_cmd", std::vector<std::string>{},
        std::vector<std::string>{"HOST=127.0.0.1", absl::StrCat("PORT=", process::FreePort()), "GRPC_HOST=127.0.0.1",
                                 absl::StrCat("GRPC_PORT=", port), "DEBUG_HOST=127.0.0.1",
                                 absl::StrCat("DEBUG_PORT=", process::FreePort()), "USE_STATSD=false", "LOG_LEVEL=warn",
                                 "RUNTIME_ROOT=" + directory_.path() + "/theirs", "RUNTIME_SUBDIRECTORY=ratelimit",
                                 "RUNTIME_WATCH_ROOT=false", "REDIS_SOCKET_TYPE=tcp",
                                 absl::StrCat("REDIS_URL=127.0.0.1:", redis_port)},
        port, directory_.path() + "/ratelimit.log");
    theirs_ = RateLimitService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }
  void StartOurs() {
    std::string config = "rate_limit_service { default_algorithm: FIXED_WINDOW";
    for (const std::string& file : ExampleFiles()) absl::StrAppend(&config, " rules_file: '", file, "'");
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data", config + " }\n");
    ours_ = RateLimitService::NewStub(server_->NewChannel());
  }

  static RateLimitResponse Ask(RateLimitService::Stub* stub, const RateLimitRequest& request) {
    const auto reply = Invoke(*stub, &RateLimitService::Stub::ShouldRateLimit, request);
    EXPECT_TRUE(reply.ok()) << reply.status.error_message();
    return reply.response;
  }

  // Returns the part of an answer in which both should agree.
  static std::string AnswerOf(const RateLimitResponse& response) {
    std::string answer = RateLimitResponse::Code_Name(response.overall_code());
    for (const auto& status : response.statuses()) {
      absl::StrAppend(&answer, " | ", RateLimitResponse::Code_Name(status.code()), " ", status.limit_remaining(), " ",
                      status.current_limit().ShortDebugString());
    }
    return answer;
  }

  const TemporaryDirectory directory_;
  std::unique_ptr<ToolProcess> redis_;
  std::unique_ptr<ToolProcess> ratelimit_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<RateLimitService::Stub> theirs_;
  std::unique_ptr<RateLimitService::Stub> ours_;
};

struct Choice {
  std::string domain;
  std::vector<Entries> entries;
};

// Descriptors for every example: such that meet a rule, and such that do not.
std::vector<Choice> Choices() {
  return {
      {"databases", {{{"database", "orders"}}, {{"database", "reports"}}, {{"database", "others"}}, {{"table", "x"}}}},
      {"mail",
       {{{"kind", "newsletter"}, {"to", "555-1"}},
        {{"kind", "newsletter"}, {"to", "555-2"}},
        {{"kind", "invoice"}, {"to", "555-1"}},
        {{"to", "555-1"}},
        {{"to", "555-2"}}}},
      {"addresses", {{{"address", "203.0.113.7"}}, {{"address", "203.0.113.8"}}, {{"address", "203.0.113.9"}}}},
      {"depth",
       {{{"tenant", "blue"}},
        {{"tenant", "blue"}, {"user", "ann"}},
        {{"tenant", "green"}},
        {{"tenant", "green"}, {"user", "ann"}},
        {{"tenant", "green"}, {"user", "bob"}}}},
      {"internal", {{{"directory", "any"}}, {{"cloud", "any"}}, {{"cloud", "other"}}}},
      {"launch",
       {{{"service", "login"}, {"user", "ann"}},
        {{"service", "login"}, {"user", "bob"}},
        {{"service", "cart"}, {"user", "bob"}}}},
      {"plans",
       {{{"small", "1"}, {"user", "ann"}},
        {{"large", "1"}, {"user", "ann"}},
        {{"small", "1"}, {"user", "bob"}},
        {{"large", "1"}, {"user", "bob"}}}},
      {"routes",
       {{{"route", "api/orders"}},
        {{"route", "api/users"}},
        {{"route", "web"}},
        {{"file", "files/a"}},
        {{"file", "files/b"}},
        {{"named", "x"}, {"verb", "reads"}},
        {{"named", "x"}, {"verb", "writes"}}}},
      {"unheard", {{{"user", "ann"}}}},
  };
}

TEST_F(SideBySideTest, TheSameRequestsGetTheSameAnswers) {
  // All limits are of an hour or a day. A run that would cross into the next hour waits for it.
  const absl::Time hour = absl::UnixEpoch() + absl::Floor(absl::Now() - absl::UnixEpoch(), absl::Hours(1));
  if (const absl::Duration left = hour + absl::Hours(1) - absl::Now(); left < kRunMax) absl::SleepFor(left);
  const std::vector<Choice> choices = Choices();
  std::mt19937 random(20);
  int descriptors = 0;
  int over = 0;
  for (int i = 0; i < kRequests; ++i) {
    const Choice& choice = choices[random() % choices.size()];
    std::vector<Entries> asked;
    for (size_t n = 1 + random() % 3; n > 0; --n) asked.push_back(choice.entries[random() % choice.entries.size()]);
    const RateLimitRequest request = RequestFor(choice.domain, asked);
    const RateLimitResponse theirs = Ask(theirs_.get(), request);
    const RateLimitResponse ours = Ask(ours_.get(), request);
    ASSERT_EQ(AnswerOf(ours), AnswerOf(theirs)) << "request " << i << ": " << request.ShortDebugString();
    for (int j = 0; j < ours.statuses_size(); ++j) {
      // Both tell the end of the window; the second may change between the two calls.
      if (ours.statuses(j).current_limit().requests_per_unit() == 0) continue;
      EXPECT_NEAR(static_cast<double>(ours.statuses(j).duration_until_reset().seconds()),
                  static_cast<double>(theirs.statuses(j).duration_until_reset().seconds()), 2)
          << request.ShortDebugString();
    }
    descriptors += ours.statuses_size();
    over += ours.overall_code() == RateLimitResponse::OVER_LIMIT ? 1 : 0;
  }
  std::printf("side by side: %d requests with %d descriptors, %d over the limit, all answers equal\n", kRequests,
              descriptors, over);
  EXPECT_GT(over, kRequests / 10);
  EXPECT_LT(over, kRequests);
}

TEST_F(SideBySideTest, WhereTheyDiffer) {
  // Three hits do not fit beside the two. There they count all the same, so nothing fits for the rest of the window.
  RateLimitRequest request = RequestFor("databases", {{{"database", "orders"}}});
  request.set_hits_addend(2);
  EXPECT_EQ(Ask(theirs_.get(), request).overall_code(), RateLimitResponse::OK);
  EXPECT_EQ(Ask(ours_.get(), request).overall_code(), RateLimitResponse::OK);
  request.set_hits_addend(3);
  EXPECT_EQ(Ask(theirs_.get(), request).overall_code(), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(Ask(ours_.get(), request).overall_code(), RateLimitResponse::OVER_LIMIT);
  request.set_hits_addend(2);
  EXPECT_EQ(Ask(theirs_.get(), request).overall_code(), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(Ask(ours_.get(), request).overall_code(), RateLimitResponse::OK);
}

}  // namespace
}  // namespace holdfast::testing
