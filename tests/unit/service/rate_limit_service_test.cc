// ShouldRateLimit through a server, and through either of two nodes, with a clock that the test moves: limits are
// exact, and are where all nodes find them. Rules change while the server runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "envoy/service/ratelimit/v3/rls.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/ratelimit/rule_files.h"
#include "tests/unit/service/two_nodes.h"
#include "tests/unit/storage/files.h"

namespace holdfast::service {
namespace {

using envoy::service::ratelimit::v3::RateLimitRequest;
using envoy::service::ratelimit::v3::RateLimitResponse;
using envoy::service::ratelimit::v3::RateLimitService;
using ::testing::HasSubstr;

// A clock that goes on as the system's does, from the beginning of an hour, and that the test sets forward.
class DayClock final : public actors::Clock {
 public:
  absl::Time Wall() const override { return absl::FromUnixSeconds(1'800'000'000) + (Steady() - began_); }
  absl::Time Steady() const override { return actors::SteadyNow() + absl::Microseconds(ahead_us_.load()); }
  void Advance(absl::Duration by) { ahead_us_ += absl::ToInt64Microseconds(by); }

 private:
  const absl::Time began_ = actors::SteadyNow();
  std::atomic<int64_t> ahead_us_ = 0;
};

class RateLimitServiceTest : public TwoNodesTest {
 protected:
  RateLimitServiceTest() {
    clock_ = &day_;
    configure_ = [this](config::v1::Config* config) {
      config->mutable_rate_limit_service()->add_rules_file(Path());
      config->mutable_rate_limit_service()->set_objects_per_domain(8);
    };
  }
  std::string Path() const { return dir_.path() + "/rules.yaml"; }

  // Starts both nodes with these rules of the domain "d".
  void StartWith(const std::string& descriptors, const std::string& more = "") {
    storage::WriteFile(Path(), absl::StrCat("domain: d\n", more, "descriptors:\n", descriptors));
    Start();
  }
  static RateLimitRequest Of(const std::vector<std::string>& values, const std::string& key = "user") {
    RateLimitRequest request;
    request.set_domain("d");
    for (const std::string& value : values) {
      auto* const entry = request.add_descriptors()->add_entries();
      entry->set_key(key);
      entry->set_value(value);
    }
    return request;
  }
  RateLimitResponse Ask(const RateLimitRequest& request, size_t node = 0) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    RateLimitResponse response;
    status_ = FromGrpc(RateLimitService::NewStub(channels_[node])->ShouldRateLimit(&context, request, &response));
    EXPECT_TRUE(status_.ok()) << status_;
    return response;
  }
  bool Allows(const RateLimitRequest& request, size_t node = 0) {
    return Ask(request, node).overall_code() == RateLimitResponse::OK;
  }

  DayClock day_;
  absl::Status status_;
};

TEST_F(RateLimitServiceTest, ASlidingWindowForgetsNothingAtTheBorderOfAMinute) {
  StartWith("  - {key: user, rate_limit: {unit: minute, requests_per_unit: 3}}\n");
  const RateLimitRequest request = Of({"7"});
  day_.Advance(absl::Seconds(50));
  for (uint32_t i = 0; i < 3; ++i) {
    const RateLimitResponse response = Ask(request);
    EXPECT_EQ(response.overall_code(), RateLimitResponse::OK);
    EXPECT_EQ(response.statuses(0).limit_remaining(), 2 - i);
    EXPECT_EQ(response.statuses(0).current_limit().requests_per_unit(), 3u);
    EXPECT_EQ(response.statuses(0).duration_until_reset().seconds(), 60);
  }
  day_.Advance(absl::Seconds(30));
  const RateLimitResponse denied = Ask(request);
  EXPECT_EQ(denied.overall_code(), RateLimitResponse::OVER_LIMIT);
  const int64_t wait = denied.statuses(0).duration_until_reset().seconds();
  EXPECT_GT(wait, 0);
  EXPECT_LE(wait, 30);
  day_.Advance(absl::Seconds(wait));
  EXPECT_TRUE(Allows(request)) << "after the time that was told; denials have not counted";
}

TEST_F(RateLimitServiceTest, AFixedWindowIsAlignedToTheEpoch) {
  StartWith("  - {key: user, rate_limit: {unit: minute, requests_per_unit: 2, algorithm: fixed_window}}\n");
  const RateLimitRequest request = Of({"7"});
  day_.Advance(absl::Seconds(30));
  const int64_t left = Ask(request).statuses(0).duration_until_reset().seconds();
  EXPECT_GT(left, 0);
  EXPECT_LE(left, 30);
  EXPECT_TRUE(Allows(request));
  EXPECT_FALSE(Allows(request));
  day_.Advance(absl::Seconds(left));
  EXPECT_TRUE(Allows(request));
}

TEST_F(RateLimitServiceTest, DescriptorsAreCountedEachByItself) {
  StartWith("  - {key: user, rate_limit: {unit: minute, requests_per_unit: 2}}\n");
  EXPECT_TRUE(Allows(Of({"a"})));
  EXPECT_TRUE(Allows(Of({"a", "b"})));
  const RateLimitResponse denied = Ask(Of({"a", "b"}));
  EXPECT_EQ(denied.overall_code(), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(denied.statuses(0).code(), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(denied.statuses(1).code(), RateLimitResponse::OK);
  EXPECT_FALSE(Allows(Of({"b"}))) << "its second hit was counted beside the denial";
}

TEST_F(RateLimitServiceTest, AllOrNothingCountsNothingBesideADenial) {
  StartWith("  - {key: user, rate_limit: {unit: minute, requests_per_unit: 2}}\n", "all_or_nothing: true\n");
  EXPECT_TRUE(Allows(Of({"a"})));
  EXPECT_TRUE(Allows(Of({"a", "b"})));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Allows(Of({"a", "b"}), static_cast<size_t>(i) % 2));
  EXPECT_TRUE(Allows(Of({"b"})));
  EXPECT_FALSE(Allows(Of({"b"})));
}

TEST_F(RateLimitServiceTest, APeekCountsNothing) {
  StartWith("  - {key: user, rate_limit: {unit: minute, requests_per_unit: 2}}\n");
  RateLimitRequest peek = Of({"7"});
  peek.mutable_descriptors(0)->mutable_hits_addend();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask(peek).statuses(0).limit_remaining(), 2u);
  EXPECT_TRUE(Allows(Of({"7"})));
  EXPECT_EQ(Ask(peek).statuses(0).limit_remaining(), 1u);
  EXPECT_TRUE(Allows(Of({"7"})));
  EXPECT_FALSE(Allows(peek));
}

TEST_F(RateLimitServiceTest, BothNodesCountWithOneLimit) {
  StartWith("  - {key: user, rate_limit: {unit: hour, requests_per_unit: 4}}\n");
  std::vector<std::string> users;
  for (int i = 0; i < 20; ++i) users.push_back(absl::StrCat("u", i));
  for (size_t round = 0; round < 4; ++round) {
    const RateLimitResponse response = Ask(Of(users), round % 2);
    for (const auto& status : response.statuses()) EXPECT_EQ(status.limit_remaining(), 3 - round);
  }
  for (size_t node = 0; node < 2; ++node) {
    const RateLimitResponse response = Ask(Of(users), node);
    for (const auto& status : response.statuses()) EXPECT_EQ(status.code(), RateLimitResponse::OVER_LIMIT);
  }
  // Both nodes have some of the objects, so some of each request were sent on.
  EXPECT_GT(maps_[0].asked, 0);
  grpc::ClientContext context;
  v1::ListObjectsRequest list;
  v1::ListObjectsResponse objects;
  list.set_namespace_("envoy");
  ASSERT_TRUE(v1::ObjectService::NewStub(channels_[0])->ListObjects(&context, list, &objects).ok());
  int of_node[2] = {0, 0};
  for (const auto& object : objects.objects()) {
    EXPECT_EQ(object.object().object_class(), "RateLimiter");
    ++of_node[IsOdd(storage::ObjectKey("envoy", "RateLimiter", object.object().name()).shard()) ? 1 : 0];
  }
  EXPECT_GT(of_node[0], 0);
  EXPECT_GT(of_node[1], 0);
}

TEST_F(RateLimitServiceTest, AnErrorNamesTheField) {
  StartWith("  - {key: user}\n");
  grpc::ClientContext context;
  RateLimitResponse response;
  const absl::Status status =
      FromGrpc(RateLimitService::NewStub(channels_[0])->ShouldRateLimit(&context, RateLimitRequest(), &response));
  EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_INVALID_FIELD);
  EXPECT_THAT(std::string(status.message()), HasSubstr("domain"));
}

// --- Rules that change. The server's own thread looks every second; SIGHUP has the effect of Reload.

class RuleFilesTest : public ::testing::Test {
 protected:
  static std::string Rules(int requests) {
    return absl::StrCat("domain: d\ndescriptors: [{key: user, rate_limit: {unit: hour, requests_per_unit: ", requests,
                        "}}]\n");
  }
  std::string Write(const std::string& name, const std::string& text) {
    storage::WriteFile(dir_.path() + "/" + name, text);
    return dir_.path() + "/" + name;
  }
  void Open(const std::vector<std::string>& paths) {
    config::v1::RateLimitServiceConfig config;
    for (const std::string& path : paths) config.add_rules_file(path);
    auto files = RuleFiles::Open(config, 1);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  // Returns the limit that the rules in effect give each user.
  uint32_t Limit() const {
    const auto rules = files_->current();
    return rules->Find("d")->rules.Find("user", "7")->limit.requests_per_unit;
  }

  storage::TempDir dir_;
  std::unique_ptr<RuleFiles> files_;
};

TEST_F(RuleFilesTest, AChangeTakesEffectAndTheLastGoodRulesStay) {
  const std::string path = Write("a.yaml", Rules(1));
  Open({path});
  EXPECT_EQ(Limit(), 1u);
  files_->Reload();
  EXPECT_EQ(files_->load().rule_changes, 0u) << "nothing has changed";
  Write("a.yaml", Rules(2));
  files_->Reload();
  EXPECT_EQ(Limit(), 2u);
  EXPECT_EQ(files_->load().rule_changes, 1u);
  EXPECT_FALSE(files_->load().rules_refused);
  for (const std::string& bad : {std::string("domain: ["), std::string(), Rules(3) + "---\n" + Rules(4)}) {
    Write("a.yaml", bad);
    files_->Reload();
    EXPECT_EQ(Limit(), 2u);
    EXPECT_TRUE(files_->load().rules_refused);
  }
  std::filesystem::remove(path);
  files_->Reload();
  EXPECT_EQ(Limit(), 2u);
  EXPECT_TRUE(files_->load().rules_refused);
  Write("a.yaml", Rules(2));
  files_->Reload();
  EXPECT_FALSE(files_->load().rules_refused) << "the rules in effect are those of the file again";
  EXPECT_EQ(files_->load().rule_changes, 1u);
}

TEST_F(RuleFilesTest, SeveralFilesChangeTogether) {
  const std::string a = Write("a.yaml", Rules(1));
  const std::string b = Write("b.yaml", "domain: other\n");
  Open({a, b});
  EXPECT_NE(files_->current()->Find("other"), nullptr);
  Write("a.yaml", Rules(2));
  Write("b.yaml", "domain: d\n");  // which the first file has, too
  files_->Reload();
  EXPECT_EQ(Limit(), 1u);
  EXPECT_NE(files_->current()->Find("other"), nullptr);
}

TEST_F(RuleFilesTest, WhatIsWrongAtTheStartIsToldWithTheFile) {
  config::v1::RateLimitServiceConfig config;
  config.add_rules_file(Write("a.yaml", "domain: d\nno: 1\nnor: 2\n"));
  config.add_rules_file(Write("b.yaml", "domain: e\ndescriptors: 5\n"));
  const absl::Status status = RuleFiles::Open(config, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a.yaml: line 2: the document: the key \"no\""));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\n" + dir_.path() + "/a.yaml: line 3: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("b.yaml: line 2: descriptors: is no list"));
  const auto missing = RuleFiles::Validate({dir_.path() + "/none.yaml"}, config);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  const auto counts = RuleFiles::Validate({Write("c.yaml", Rules(1))}, config);
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts->domains, 1u);
  EXPECT_EQ(counts->rules, 1u);
}

TEST(RuleSettingsTest, BadSettingsAreNamed) {
  config::v1::RateLimitServiceConfig config;
  config.set_namespace_("limits");
  config.set_default_algorithm(config::v1::RateLimitServiceConfig::ALGORITHM_GCRA);
  EXPECT_EQ(RuleFiles::Check(config), absl::OkStatus());
  config.set_namespace_("Not-One");
  EXPECT_THAT(std::string(RuleFiles::Check(config).message()), HasSubstr("rate_limit_service.namespace"));
  config.set_namespace_("limits");
  config.add_rules_file("");
  EXPECT_THAT(std::string(RuleFiles::Check(config).message()), HasSubstr("rate_limit_service.rules_file: is empty"));
  config.set_rules_file(0, "rules.yaml");
  for (int i = 0; i < RuleFiles::kFilesMax; ++i) config.add_rules_file("rules.yaml");
  EXPECT_THAT(std::string(RuleFiles::Check(config).message()), HasSubstr("there are 101; at most 100"));
}

}  // namespace
}  // namespace holdfast::service
