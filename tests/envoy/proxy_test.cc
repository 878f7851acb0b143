// Behind the real Envoy: requests get 429 with the right headers at exactly the limit, and what becomes of them when
// the server has stopped is what Envoy's configuration says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/credentials.h"
#include "tests/envoy/envoy_process.h"
#include "tests/integration/http_get.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

// The most time in which Envoy connects again to a server that is back.
constexpr absl::Duration kBackMax = absl::Seconds(20);

class ProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (ToolProcess::PathOf("envoy").empty()) GTEST_SKIP() << "there is no Envoy: tests/envoy/install.sh";
    std::ofstream(Path("rules.yaml")) << R"(
domain: edge
descriptors:
  - {key: path, rate_limit: {unit: hour, requests_per_unit: 5}}
  - {key: path, value: /free, rate_limit: {unlimited: true}}
  - {key: path, value: /watched, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 1}}
)";
    std::ofstream(Path("tokens")) << "envoy " << absl::BytesToHexString(TokenHash(token_)) << "\n";
    StartServer();
    envoy_ = std::make_unique<EnvoyProcess>(directory_.path(), port_, "edge", TokenOfEnvoy());
    // Envoy connects to the server when the first request comes.
    ASSERT_TRUE(Await([this] { return Ready(Get("/first")); }));
  }
  virtual std::string TokenOfEnvoy() const { return token_; }
  // Returns whether the answer is that of an Envoy whose service answers.
  virtual bool Ready(const std::string& answer) const { return !HeaderOf(answer, "x-ratelimit-limit").empty(); }

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void StartServer() {
    static const ServerProgram* const program = new ServerProgram(Holdfastd());
    ServerProgram with_port = *program;
    with_port.listen = absl::StrCat("127.0.0.1:", port_);
    server_ = std::make_unique<ServerProcess>(
        Path("data"),
        absl::StrCat("log_format: TEXT rate_limit_service { rules_file: '", Path("rules.yaml"),
                     "' response_headers: true }\nauthentication { token_file: '", Path("tokens"),
                     "' }\nauthorization { rule { principal: 'envoy' namespace: 'envoy' object_class: 'RateLimiter' ",
                     "verb: WRITE } }\n"),
        "", with_port);
  }
  std::string Get(const std::string& path) const { return HttpGet(envoy_->open_address(), path); }
  static int StatusOf(const std::string& answer) {
    int status = 0;
    if (answer.size() > 12) (void)absl::SimpleAtoi(answer.substr(9, 3), &status);
    return status;
  }
  // Returns the value of a header; "" if there is none.
  static std::string HeaderOf(const std::string& answer, const std::string& name) {
    for (const absl::string_view line : absl::StrSplit(answer, "\r\n")) {
      const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(": ", 1));
      if (parts.size() == 2 && absl::EqualsIgnoreCase(parts[0], name)) return parts[1];
    }
    return "";
  }
  // Waits until another process has done something; returns false if that takes too long.
  template <typename Done>
  static bool Await(Done done) {
    const absl::Time until = absl::Now() + kBackMax;
    while (!done()) {
      if (absl::Now() > until) return false;
      absl::SleepFor(absl::Milliseconds(20));  // only another look tells
    }
    return true;
  }

  const TemporaryDirectory directory_;
  const std::string token_ = *NewToken();
  const int port_ = process::FreePort();
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<EnvoyProcess> envoy_;
};

TEST_F(ProxyTest, Gives429WithItsHeadersAtExactlyTheLimit) {
  for (int i = 0; i < 5; ++i) {
    const std::string answer = Get("/cart");
    EXPECT_EQ(StatusOf(answer), 200) << answer;
    EXPECT_TRUE(absl::StrContains(answer, "from the backend"));
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-limit"), "5, 5;w=3600");
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-remaining"), absl::StrCat(4 - i));
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-reset"), "3600");
    EXPECT_EQ(HeaderOf(answer, "ratelimit-remaining"), absl::StrCat(4 - i));
    EXPECT_EQ(HeaderOf(answer, "retry-after"), "");
  }
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Get("/cart");
    EXPECT_EQ(StatusOf(answer), 429) << answer;
    EXPECT_FALSE(absl::StrContains(answer, "from the backend"));
    EXPECT_EQ(HeaderOf(answer, "x-envoy-ratelimited"), "true");
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-limit"), "5, 5;w=3600");
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-remaining"), "0");
    // The first of the five leaves the window within the hour, some seconds after they were sent.
    int reset = 0;
    EXPECT_TRUE(absl::SimpleAtoi(HeaderOf(answer, "retry-after"), &reset));
    EXPECT_EQ(HeaderOf(answer, "x-ratelimit-reset"), HeaderOf(answer, "retry-after"));
    EXPECT_GT(reset, 3500);
    EXPECT_LE(reset, 3600);
  }
  EXPECT_EQ(StatusOf(Get("/another")), 200) << "each path has its own limit";
}

TEST_F(ProxyTest, UnlimitedAndInShadowModeNothingIsDenied) {
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(StatusOf(Get("/free")), 200);
    EXPECT_EQ(StatusOf(Get("/watched")), 200);
  }
}

TEST_F(ProxyTest, TheLimitOutlivesTheServer) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatusOf(Get("/cart")), 200);
  EXPECT_EQ(StatusOf(Get("/cart")), 429);
  server_->Kill();
  StartServer();
  // Until Envoy has connected again, it lets requests through.
  EXPECT_TRUE(Await([this] { return StatusOf(Get("/cart")) == 429; }));
  EXPECT_EQ(StatusOf(Get("/cart")), 429);
}

TEST_F(ProxyTest, WhileTheServerIsGoneTheFailureModeSaysWhatHappens) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatusOf(Get("/cart")), 200);
  server_->Kill();
  EXPECT_EQ(StatusOf(HttpGet(envoy_->deny_address(), "/cart")), 500);
  EXPECT_EQ(StatusOf(Get("/cart")), 200) << "open: the request goes through, though it is over its limit";
}

TEST_F(ProxyTest, AServerThatHoldsStillDelaysRequestsByTheTimeoutOnly) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatusOf(Get("/cart")), 200);
  server_->Signal(SIGSTOP);
  const absl::Time began = absl::Now();
  EXPECT_EQ(StatusOf(Get("/cart")), 200);
  const absl::Duration took = absl::Now() - began;
  // Envoy counts from the last time that its loop has read the clock, which may be a little earlier.
  EXPECT_GE(took, EnvoyProcess::kTimeout - absl::Milliseconds(100));
  EXPECT_LT(took, EnvoyProcess::kTimeout + absl::Seconds(5));
  EXPECT_EQ(StatusOf(HttpGet(envoy_->deny_address(), "/cart")), 500);
  server_->Signal(SIGCONT);
  EXPECT_TRUE(Await([this] { return StatusOf(Get("/cart")) == 429; }));
}

class ProxyWithoutRightsTest : public ProxyTest {
 protected:
  std::string TokenOfEnvoy() const override { return *NewToken(); }
  bool Ready(const std::string& answer) const override { return StatusOf(answer) == 200; }
};

TEST_F(ProxyWithoutRightsTest, ATokenThatTheServerDoesNotKnowIsAFailureOfTheService) {
  for (int i = 0; i < 7; ++i) EXPECT_EQ(StatusOf(Get("/cart")), 200);
  EXPECT_EQ(StatusOf(HttpGet(envoy_->deny_address(), "/cart")), 500);
}

}  // namespace
}  // namespace holdfast::testing
