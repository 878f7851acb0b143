// Envoy's rate limit service of the real holdfastd, over gRPC: the rules of rules/, a start and a reload, the command
// line, the metrics, and what a crash leaves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"
#include "tests/envoy/requests.h"
#include "tests/integration/http_get.h"
#include "tests/integration/rpc.h"
#include "tests/integration/server_process.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

// The server looks at its files every second.
constexpr absl::Duration kReloadMax = absl::Seconds(20);

class RateLimitServiceTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string beside = Path(name + ".new");
    std::ofstream(beside) << text;
    std::filesystem::rename(beside, Path(name));
    return Path(name);
  }
  static std::string Rules(int requests) {
    return absl::StrCat("domain: d\ndescriptors: [{key: user, rate_limit: {unit: hour, requests_per_unit: ", requests,
                        "}}]\n");
  }
  void StartServer(const std::vector<std::string>& files, const std::string& more = "") {
    std::string config = "rate_limit_service {";
    for (const std::string& file : files) absl::StrAppend(&config, " rules_file: '", file, "'");
    server_ = std::make_unique<ServerProcess>(Path("data"), absl::StrCat(config, " }\n", more));
    stub_ = RateLimitService::NewStub(server_->NewChannel());
  }
  Reply<RateLimitResponse> Ask(const RateLimitRequest& request) {
    return Invoke(*stub_, &RateLimitService::Stub::ShouldRateLimit, request);
  }
  // Returns how many requests in a row are allowed, at most `most`.
  int Allowed(const RateLimitRequest& request, int most) {
    for (int i = 0; i < most; ++i) {
      const auto reply = Ask(request);
      EXPECT_TRUE(reply.ok()) << reply.status.error_message();
      if (reply->overall_code() != RateLimitResponse::OK) return i;
    }
    return most;
  }

  const TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<RateLimitService::Stub> stub_;
};

// --- The rules of rules/.

TEST_F(RateLimitServiceTest, EachExampleAllowsWhatItSays) {
  StartServer(ExampleFiles());
  constexpr int kNoLimit = 8;  // a higher number than any limit
  struct Case {
    std::string domain;
    Entries entries;
    int allowed;
  };
  const std::vector<Case> cases = {
      {"databases", {{"database", "orders"}}, 4},
      {"databases", {{"database", "reports"}}, 2},
      {"databases", {{"database", "others"}}, kNoLimit},
      {"mail", {{"kind", "newsletter"}, {"to", "555-1"}}, 2},
      {"mail", {{"kind", "newsletter"}, {"to", "555-2"}}, 2},
      {"mail", {{"kind", "invoice"}, {"to", "555-1"}}, kNoLimit},
      {"mail", {{"to", "555-1"}}, 5},
      {"addresses", {{"address", "203.0.113.8"}}, 3},
      {"addresses", {{"address", "203.0.113.9"}}, 0},
      {"depth", {{"tenant", "blue"}}, 2},
      {"depth", {{"tenant", "blue"}, {"user", "ann"}}, kNoLimit},
      {"depth", {{"tenant", "green"}}, kNoLimit},
      {"depth", {{"tenant", "green"}, {"user", "ann"}}, 3},
      {"internal", {{"directory", "any"}}, kNoLimit},
      {"internal", {{"cloud", "any"}}, 2},
      {"launch", {{"service", "login"}, {"user", "ann"}}, kNoLimit},
      {"launch", {{"service", "login"}, {"user", "bob"}}, 3},
      {"plans", {{"small", "1"}, {"user", "ann"}}, 2},
      {"plans", {{"large", "1"}, {"user", "ann"}}, 4},
      {"routes", {{"route", "api/orders"}}, 2},
      {"routes", {{"route", "api/users"}}, 2},
      {"routes", {{"route", "web"}}, kNoLimit},
      {"routes", {{"file", "files/a"}}, 3},
      {"routes", {{"file", "files/b"}}, 0},  // the other one has used it up
      {"routes", {{"named", "x"}, {"verb", "reads"}}, 2},
      {"unheard", {{"user", "ann"}}, kNoLimit},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Allowed(RequestFor(one.domain, {one.entries}), kNoLimit), one.allowed)
        << one.domain << " " << one.entries.back().first << " " << one.entries.back().second;
  }
  // A request with both plans is held to the large one.
  const RateLimitRequest both =
      RequestFor("plans", {{{"small", "1"}, {"user", "bob"}}, {{"large", "1"}, {"user", "bob"}}});
  EXPECT_EQ(Allowed(both, kNoLimit), 4);
  EXPECT_EQ(Allowed(RequestFor("plans", {{{"small", "1"}, {"user", "bob"}}}), kNoLimit), 2) << "it was not counted";
}

TEST_F(RateLimitServiceTest, ALimitOutlivesACrash) {
  const std::string file = Write("rules.yaml", Rules(3));
  StartServer({file});
  EXPECT_EQ(Allowed(RequestFor("d", {{{"user", "7"}}}), 2), 2);
  server_->Kill();
  StartServer({file});
  EXPECT_EQ(Allowed(RequestFor("d", {{{"user", "7"}}}), 5), 1);
}

// --- Starts and reloads.

TEST_F(RateLimitServiceTest, WithoutRulesThereIsNoSuchService) {
  StartServer({});
  const auto reply = Ask(RequestFor("d", {{{"user", "7"}}}));
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(RateLimitServiceTest, BadRulesStopTheStart) {
  Write("config", absl::StrCat("rate_limit_service { rules_file: '", Write("rules.yaml", "domain: d\nno: 1\n"), "' }"));
  const auto exit =
      ServerProcess::RunToEnd({"--config", Path("config"), "--listen", "127.0.0.1:0", "--data-dir", Path("fresh")});
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.output,
              HasSubstr(absl::StrCat("rate_limit_service.rules_file: ", Path("rules.yaml"), ": line 2: ")));
  EXPECT_FALSE(std::filesystem::exists(Path("fresh")));
}

TEST_F(RateLimitServiceTest, AChangeOfTheFileTakesEffectAndABadOneDoesNot) {
  const std::string file = Write("rules.yaml", Rules(2));
  StartServer({file});
  const RateLimitRequest request = RequestFor("d", {{{"user", "7"}}});
  EXPECT_EQ(Allowed(request, 5), 2);
  Write("rules.yaml", Rules(4));
  // Nobody tells that the server has looked.
  for (const absl::Time until = absl::Now() + kReloadMax;
       !absl::StrContains(server_->Log(), "rate_limit_rules_changed") && absl::Now() < until;) {
    absl::SleepFor(absl::Milliseconds(20));  // only another look tells
  }
  EXPECT_EQ(Allowed(request, 5), 2) << "two more, since two are in use";
  Write("rules.yaml", "domain: d\ndescriptors: 1\n");
  server_->Signal(SIGHUP);
  for (const absl::Time until = absl::Now() + kReloadMax;
       !absl::StrContains(server_->Log(), "rate_limit_rules_not_changed") && absl::Now() < until;) {
    absl::SleepFor(absl::Milliseconds(20));  // only another look tells
  }
  EXPECT_THAT(server_->Log(), HasSubstr("rules.yaml: line 2: descriptors: is no list"));
  EXPECT_EQ(Ask(request)->statuses(0).current_limit().requests_per_unit(), 4u);
}

// --- The command line.

TEST_F(RateLimitServiceTest, FilesAreValidatedOnTheCommandLine) {
  std::vector<std::string> good = {"--validate-rules"};
  for (const std::string& file : ExampleFiles()) good.push_back(file);
  const auto valid = ServerProcess::RunToEnd(good);
  EXPECT_EQ(valid.status, 0);
  EXPECT_THAT(valid.output, HasSubstr(absl::StrCat("valid: ", ExampleFiles().size(), " domains, ")));

  const std::string bad = Write("bad.yaml",
                                "domain: d\ndescriptors:\n  - key: a\n    rate_limit:\n      unit: fortnight\n"
                                "      requests_per_unit: 5\n  - {key: b, valu: x}\n");
  const auto invalid = ServerProcess::RunToEnd({"--validate-rules", bad});
  EXPECT_EQ(invalid.status, 1);
  EXPECT_EQ(invalid.output,
            absl::StrCat(bad,
                         ": line 5: descriptors[0].rate_limit.unit: is none of second, minute, hour, day, week, month, "
                         "year\n",
                         bad,
                         ": line 7: descriptors[1]: the key \"valu\" is not known; there are descriptors, "
                         "detailed_metric, key, rate_limit, shadow_mode, share_threshold, value, value_to_metric\n"));
  const auto missing = ServerProcess::RunToEnd({"--validate-rules", Path("none.yaml")});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output, HasSubstr("none.yaml: "));
}

// --- Metrics.

TEST_F(RateLimitServiceTest, OutcomesAndRulesAreCounted) {
  const std::string address = absl::StrCat("127.0.0.1:", process::FreePort());
  std::vector<std::string> files = ExampleFiles();
  files.push_back(Write("rules.yaml", Rules(1)));
  StartServer(files, absl::StrCat("metrics { listen: '", address, "' }\n"));
  EXPECT_EQ(Allowed(RequestFor("d", {{{"user", "7"}}, {{"other", "7"}}}), 2), 1);
  EXPECT_EQ(Allowed(RequestFor("internal", {{{"directory", "any"}}}), 3), 3);
  EXPECT_EQ(Allowed(RequestFor("launch", {{{"service", "x"}, {"user", "ann"}}}), 5), 5);
  std::string metrics;
  const auto line = [](const std::string& outcome, int count) {
    return absl::StrCat("holdfast_rate_limit_descriptors_total{outcome=\"", outcome, "\"} ", count, "\n");
  };
  // A page of metrics may be a second old.
  for (const absl::Time until = absl::Now() + kReloadMax;
       !absl::StrContains(metrics, line("ok", 3)) && absl::Now() < until;) {
    metrics = HttpGet(address, "/metrics");
  }
  EXPECT_THAT(metrics, HasSubstr(line("ok", 3)));
  EXPECT_THAT(metrics, HasSubstr(line("over_limit", 1)));
  EXPECT_THAT(metrics, HasSubstr(line("over_limit_in_shadow", 3)));
  EXPECT_THAT(metrics, HasSubstr(line("unlimited", 3)));
  EXPECT_THAT(metrics, HasSubstr(line("without_rule", 2)));
  EXPECT_THAT(metrics, HasSubstr("holdfast_rate_limit_rules_refused 0\n"));
  Write("rules.yaml", "domain: [");
  for (const absl::Time until = absl::Now() + kReloadMax;
       !absl::StrContains(metrics, "holdfast_rate_limit_rules_refused 1\n") && absl::Now() < until;) {
    metrics = HttpGet(address, "/metrics");
  }
  EXPECT_THAT(metrics, HasSubstr("holdfast_rate_limit_rules_refused 1\n"));
}

}  // namespace
}  // namespace holdfast::testing
