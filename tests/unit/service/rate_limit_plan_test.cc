// The plan of a request of Envoy's rate limit service: which checks of which objects it takes, and the response that
// their results make.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "service/ratelimit/limit_plan.h"
#include "service/ratelimit/read_rules.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Response = LimitPlan::Response;

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

class PlanTest : public ::testing::Test {
 protected:
  void Read(const std::string& text) {
    RuleReader reader(options_.algorithm);
    ASSERT_THAT(reader.Read(text), IsEmpty());
    rules_ = reader.Take();
  }
  // Returns a descriptor with one entry. `more` are its other fields.
  static std::string One(const std::string& key, const std::string& value, const std::string& more = "") {
    return absl::StrCat("descriptors { entries { key: '", key, "' value: '", value, "' } ", more, " } ");
  }
  LimitPlan Plan(const std::string& descriptors, const std::string& domain = "shop") {
    auto plan = LimitPlan::Make(rules_, options_,
                                Parsed<LimitPlan::Request>(absl::StrCat("domain: '", domain, "' ", descriptors)));
    EXPECT_TRUE(plan.ok()) << plan.status();
    return *std::move(plan);
  }
  std::string ErrorOf(const std::string& request) {
    const auto plan = LimitPlan::Make(rules_, options_, Parsed<LimitPlan::Request>(request));
    EXPECT_EQ(actors::ReasonOf(plan.status()), v1::ERROR_REASON_INVALID_FIELD);
    return std::string(plan.status().message());
  }
  Response Answer(const LimitPlan& plan, const std::vector<std::string>& results) {
    std::vector<v1::CheckLimitsResponse> parsed;
    for (const std::string& result : results) parsed.push_back(Parsed<v1::CheckLimitsResponse>(result));
    EXPECT_EQ(parsed.size(), plan.groups().size());
    Response response;
    counts_ = plan.Answer(parsed, &response);
    return response;
  }
  uint64_t CountOf(DescriptorOutcome outcome) const { return counts_[static_cast<size_t>(outcome)]; }

  LimitOptions options_{.ns = "limits",
                        .objects_per_domain = 8,
                        .algorithm = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG,
                        .response_headers = false};
  RuleSet rules_;
  DescriptorCounts counts_ = {};
};

constexpr char kAllowed[] = "allowed: true results { allowed: true limit: 5 remaining: 4 reset_after { seconds: 60 } }";
constexpr char kDenied[] =
    "allowed: false results { allowed: false limit: 5 remaining: 0 retry_after { seconds: 7 nanos: 1000000 } "
    "reset_after { seconds: 60 } }";
constexpr char kShop[] = R"(
domain: shop
descriptors:
  - {key: user, rate_limit: {unit: minute, requests_per_unit: 5, name: per-user}}
  - {key: free, rate_limit: {unlimited: true}}
  - {key: blocked, rate_limit: {unit: hour, requests_per_unit: 0}}
  - {key: watched, shadow_mode: true, rate_limit: {unit: minute, requests_per_unit: 5}}
  - {key: bucket, rate_limit: {unit: day, requests_per_unit: 200000, algorithm: gcra}}
  - {key: monthly, rate_limit: {unit: month, requests_per_unit: 5, algorithm: calendar}}
  - {key: path, value: "/a*", share_threshold: true, rate_limit: {unit: minute, requests_per_unit: 5}}
  - {key: own, rate_limit: {unit: minute, requests_per_unit: 5, replaces: [{name: per-user}]}}
)";

// --- Requests that are none.

TEST_F(PlanTest, WhatIsWrongWithARequestIsNamed) {
  Read(kShop);
  EXPECT_THAT(ErrorOf(One("user", "7")), HasSubstr("domain: must not be empty"));
  EXPECT_THAT(ErrorOf("domain: 'shop'"), HasSubstr("descriptors: must be 1 to 100"));
  std::string many = "domain: 'shop' ";
  for (int i = 0; i < 101; ++i) many += One("user", "7");
  EXPECT_THAT(ErrorOf(many), HasSubstr("descriptors: must be 1 to 100"));
  EXPECT_THAT(ErrorOf("domain: 'unheard' descriptors {}"), HasSubstr("descriptors[0].entries: must be 1 to 64"));
  std::string long_one = "domain: 'shop' " + One("user", "7") + "descriptors { ";
  for (int i = 0; i < 65; ++i) long_one += "entries { key: 'a' } ";
  EXPECT_THAT(ErrorOf(long_one + "}"), HasSubstr("descriptors[1].entries: must be 1 to 64"));
  EXPECT_THAT(ErrorOf("domain: 'shop' " + One("user", "7", "limit { requests_per_unit: 1 }")),
              HasSubstr("descriptors[0].limit.unit: must be SECOND to YEAR"));
}

TEST_F(PlanTest, ALimitOfADescriptorThatTheDefaultCantCountIsCountedByGcra) {
  const auto algorithm_of = [this](const std::string& limit) {
    const LimitPlan plan = Plan(One("user", "7", "limit { " + limit + " }"));
    return plan.groups()[0].checks(0).algorithm();
  };
  Read(kShop);
  EXPECT_EQ(algorithm_of("requests_per_unit: 100000 unit: DAY"), v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  EXPECT_EQ(algorithm_of("requests_per_unit: 100001 unit: DAY"), v1::RATE_LIMIT_ALGORITHM_GCRA);
  options_.algorithm = v1::RATE_LIMIT_ALGORITHM_CALENDAR;
  EXPECT_EQ(algorithm_of("requests_per_unit: 100001 unit: DAY"), v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  EXPECT_EQ(algorithm_of("requests_per_unit: 5 unit: YEAR"), v1::RATE_LIMIT_ALGORITHM_GCRA);
}

// --- Checks.

TEST_F(PlanTest, EachDescriptorIsACheckOfItsOwn) {
  Read(kShop);
  const LimitPlan plan = Plan(One("user", "7") + One("user", "8") + "hits_addend: 3");
  ASSERT_THAT(plan.groups(), SizeIs(2));
  const v1::CheckLimitsRequest& first = plan.groups()[0];
  EXPECT_EQ(first.object().namespace_(), "limits");
  EXPECT_THAT(first.object().name(), ::testing::MatchesRegex("envoy/[0-7]/shop"));
  EXPECT_FALSE(first.peek());
  ASSERT_THAT(first.checks(), SizeIs(1));
  EXPECT_EQ(first.checks(0).key(), "4:user1:7");
  EXPECT_EQ(first.checks(0).limit(), 5);
  EXPECT_EQ(first.checks(0).cost(), 3);
  EXPECT_EQ(first.checks(0).window().seconds(), 60);
  EXPECT_EQ(first.checks(0).algorithm(), v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  EXPECT_EQ(plan.groups()[1].checks(0).key(), "4:user1:8");
}

TEST_F(PlanTest, TheAlgorithmOfARuleAndItsWindow) {
  Read(kShop);
  const LimitPlan plan = Plan(One("bucket", "7") + One("monthly", "7"));
  EXPECT_EQ(plan.groups()[0].checks(0).algorithm(), v1::RATE_LIMIT_ALGORITHM_GCRA);
  EXPECT_EQ(plan.groups()[0].checks(0).window().seconds(), 86'400);
  EXPECT_EQ(plan.groups()[1].checks(0).algorithm(), v1::RATE_LIMIT_ALGORITHM_CALENDAR);
  EXPECT_EQ(plan.groups()[1].checks(0).calendar_unit(), v1::CALENDAR_UNIT_MONTH);
  EXPECT_FALSE(plan.groups()[1].checks(0).has_window());
}

TEST_F(PlanTest, WhatHasNoLimitTakesNoCheck) {
  Read(kShop);
  EXPECT_THAT(Plan(One("unheard", "7")).groups(), IsEmpty());
  EXPECT_THAT(Plan(One("user", "7"), "another").groups(), IsEmpty());
  EXPECT_THAT(Plan(One("free", "7") + One("blocked", "7")).groups(), IsEmpty());
}

TEST_F(PlanTest, ALimitThatADescriptorBringsTakesThePlaceOfTheRules) {
  Read(kShop);
  const LimitPlan plan = Plan(One("unheard", "7", "limit { requests_per_unit: 9 unit: HOUR }") +
                              One("free", "7", "limit { requests_per_unit: 0 unit: HOUR }"));
  ASSERT_THAT(plan.groups(), SizeIs(1));
  EXPECT_EQ(plan.groups()[0].checks(0).limit(), 9);
  EXPECT_EQ(plan.groups()[0].checks(0).window().seconds(), 3600);
  const Response response = Answer(plan, {kAllowed});
  EXPECT_EQ(response.statuses(0).current_limit().requests_per_unit(), 9u);
  EXPECT_EQ(response.statuses(1).code(), Response::OVER_LIMIT);
}

TEST_F(PlanTest, ValuesOfASharedWildcardHaveOneKey) {
  Read(kShop);
  const LimitPlan plan = Plan(One("path", "/a1") + One("path", "/a2"));
  EXPECT_EQ(plan.groups()[0].checks(0).key(), "4:path3:/a*");
  EXPECT_EQ(plan.groups()[1].checks(0).key(), "4:path3:/a*");
}

TEST_F(PlanTest, AReplacedLimitDoesNotHold) {
  Read(kShop);
  const LimitPlan plan = Plan(One("user", "7") + One("own", "7"));
  ASSERT_THAT(plan.groups(), SizeIs(1));
  EXPECT_EQ(plan.groups()[0].checks(0).key(), "3:own1:7");
  const Response response = Answer(plan, {kDenied});
  EXPECT_EQ(response.statuses(0).code(), Response::OK);
  EXPECT_FALSE(response.statuses(0).has_current_limit());
  EXPECT_EQ(response.statuses(1).code(), Response::OVER_LIMIT);
}

// --- Hits.

TEST_F(PlanTest, HitsOfADescriptorTakeThePlaceOfThoseOfTheRequest) {
  Read(kShop);
  const LimitPlan plan = Plan(One("user", "7", "hits_addend { value: 2 }") + One("user", "8") + "hits_addend: 4");
  EXPECT_EQ(plan.groups()[0].checks(0).cost(), 2);
  EXPECT_EQ(plan.groups()[1].checks(0).cost(), 4);
  EXPECT_EQ(Plan(One("user", "7") + "hits_addend: 0").groups()[0].checks(0).cost(), 1);
}

TEST_F(PlanTest, NoHitsPeekAndTheRoomIsThatBeforeTheHit) {
  Read(kShop);
  const LimitPlan plan = Plan(One("user", "7", "hits_addend {}"));
  EXPECT_TRUE(plan.groups()[0].peek());
  EXPECT_EQ(plan.groups()[0].checks(0).cost(), 1);
  Response response = Answer(plan, {kAllowed});
  EXPECT_EQ(response.overall_code(), Response::OK);
  EXPECT_EQ(response.statuses(0).limit_remaining(), 5u);
  response = Answer(plan, {kDenied});
  EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(0).limit_remaining(), 0u);
}

TEST_F(PlanTest, MoreHitsThanTheLimitAreDeniedAndOnlyPeek) {
  Read(kShop);
  for (const char* hits : {"6", "18446744073709551615"}) {
    const LimitPlan plan = Plan(One("user", "7", absl::StrCat("hits_addend { value: ", hits, " }")));
    EXPECT_TRUE(plan.groups()[0].peek());
    const Response response = Answer(plan, {kAllowed});
    EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
    EXPECT_EQ(response.statuses(0).limit_remaining(), 5u);
    EXPECT_EQ(response.statuses(0).duration_until_reset().seconds(), 60);
  }
}

// --- Responses.

TEST_F(PlanTest, AStatusForEachDescriptorInOrder) {
  Read(kShop);
  const LimitPlan plan = Plan(One("unheard", "7") + One("user", "7") + One("free", "7") + One("blocked", "7") +
                              One("watched", "7") + One("user", "8"));
  const Response response = Answer(plan, {kAllowed, kDenied, kDenied});
  EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
  ASSERT_THAT(response.statuses(), SizeIs(6));
  EXPECT_EQ(response.statuses(0).DebugString(), "code: OK\n");
  EXPECT_EQ(response.statuses(1).DebugString(),
            Parsed<Response::DescriptorStatus>("code: OK current_limit { requests_per_unit: 5 unit: MINUTE name: "
                                               "'per-user' } limit_remaining: 4 duration_until_reset { seconds: 60 }")
                .DebugString());
  EXPECT_EQ(response.statuses(2).DebugString(), "code: OK\nlimit_remaining: 4294967295\n");
  EXPECT_EQ(response.statuses(3).code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(3).duration_until_reset().seconds(), 3600);
  EXPECT_EQ(response.statuses(4).code(), Response::OK) << "in shadow mode";
  EXPECT_EQ(response.statuses(4).limit_remaining(), 0u);
  EXPECT_EQ(response.statuses(5).code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(5).duration_until_reset().seconds(), 8) << "rounded up";
  EXPECT_THAT(response.response_headers_to_add(), IsEmpty());
  EXPECT_EQ(CountOf(DescriptorOutcome::kOk), 1u);
  EXPECT_EQ(CountOf(DescriptorOutcome::kOver), 2u);
  EXPECT_EQ(CountOf(DescriptorOutcome::kOverInShadow), 1u);
  EXPECT_EQ(CountOf(DescriptorOutcome::kUnlimited), 1u);
  EXPECT_EQ(CountOf(DescriptorOutcome::kWithoutRule), 1u);
}

TEST_F(PlanTest, TheShadowAloneDeniesNothing) {
  Read(kShop);
  const Response response = Answer(Plan(One("watched", "7")), {kDenied});
  EXPECT_EQ(response.overall_code(), Response::OK);
}

TEST_F(PlanTest, TheMicrosecondByWhichALogOutlastsItsWindowIsNoSecond) {
  Read(kShop);
  const Response response = Answer(Plan(One("user", "7")), {"allowed: true results { allowed: true remaining: 4 "
                                                            "reset_after { seconds: 60 nanos: 1000 } }"});
  EXPECT_EQ(response.statuses(0).duration_until_reset().seconds(), 60);
}

std::vector<std::string> HeadersOf(const Response& response) {
  std::vector<std::string> headers;
  for (const auto& header : response.response_headers_to_add()) {
    headers.push_back(absl::StrCat(header.key(), ": ", header.value()));
  }
  return headers;
}

TEST_F(PlanTest, HeadersTellOfTheLimitThatDeniesOrHasTheLeastRoom) {
  Read(kShop);
  options_.response_headers = true;
  const LimitPlan plan = Plan(One("free", "7") + One("user", "7") + One("user", "8") + One("unheard", "7"));
  const std::string less = "allowed: true results { allowed: true limit: 5 remaining: 2 reset_after { seconds: 30 } }";
  EXPECT_THAT(HeadersOf(Answer(plan, {kAllowed, less})),
              ElementsAre("RateLimit-Limit: 5", "RateLimit-Remaining: 2", "RateLimit-Reset: 30"));
  EXPECT_THAT(HeadersOf(Answer(plan, {kDenied, less})),
              ElementsAre("RateLimit-Limit: 5", "RateLimit-Remaining: 0", "RateLimit-Reset: 8", "Retry-After: 8"));
  EXPECT_THAT(HeadersOf(Answer(Plan(One("free", "7")), {})), IsEmpty());
}

// --- All or nothing.

class TogetherTest : public PlanTest {
 protected:
  TogetherTest() { Read(absl::StrCat("all_or_nothing: true\n", kShop)); }
};

TEST_F(TogetherTest, WhatMayDenyIsOneGroupOfOneObject) {
  const LimitPlan plan = Plan(One("user", "7") + One("watched", "7") + One("bucket", "7") +
                              One("user", "9", "hits_addend {}") + One("free", "7"));
  ASSERT_THAT(plan.groups(), SizeIs(3));
  std::set<std::string> objects;
  for (const auto& group : plan.groups()) objects.insert(group.object().name());
  EXPECT_THAT(objects, ElementsAre("envoy/all/shop"));
  EXPECT_THAT(plan.groups()[0].checks(), SizeIs(2));
  EXPECT_FALSE(plan.groups()[0].peek());
  EXPECT_EQ(plan.groups()[1].checks(0).key(), "7:watched1:7");
  EXPECT_TRUE(plan.groups()[2].peek());
  // The user's limit has room, and keeps it, since the other one has none.
  const Response response = Answer(
      plan,
      {"allowed: false results { allowed: true remaining: 5 } results { allowed: false retry_after { seconds: 1 } }",
       kAllowed, kAllowed});
  EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(0).code(), Response::OK);
  EXPECT_EQ(response.statuses(0).limit_remaining(), 5u);
  EXPECT_EQ(response.statuses(2).code(), Response::OVER_LIMIT);
}

TEST_F(TogetherTest, BesideALimitOfZeroOrTooManyHitsNothingIsCounted) {
  for (const std::string& denied : {One("blocked", "7"), One("user", "8", "hits_addend { value: 6 }")}) {
    const LimitPlan plan = Plan(One("user", "7") + denied);
    EXPECT_TRUE(plan.groups()[0].peek());
    std::vector<std::string> results(plan.groups().size(), kAllowed);
    const Response response = Answer(plan, results);
    EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
    EXPECT_EQ(response.statuses(0).code(), Response::OK);
    EXPECT_EQ(response.statuses(0).limit_remaining(), 5u);
    EXPECT_EQ(response.statuses(1).code(), Response::OVER_LIMIT);
  }
}

TEST_F(TogetherTest, TheSameDescriptorTwiceIsOneCheckOfBothCosts) {
  const LimitPlan plan = Plan(One("user", "7") + One("user", "7", "hits_addend { value: 3 }"));
  ASSERT_THAT(plan.groups(), SizeIs(1));
  ASSERT_THAT(plan.groups()[0].checks(), SizeIs(1));
  EXPECT_EQ(plan.groups()[0].checks(0).cost(), 4);
  EXPECT_FALSE(plan.groups()[0].peek());
  const LimitPlan too_many = Plan(One("user", "7", "hits_addend { value: 3 }") + One("user", "7") +
                                  One("user", "7", "hits_addend { value: 2 }"));
  EXPECT_TRUE(too_many.groups()[0].peek());
  const Response response =
      Answer(too_many, {"allowed: true results { allowed: true limit: 5 remaining: 0 reset_after { seconds: 60 } }"});
  EXPECT_EQ(response.overall_code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(2).code(), Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(2).limit_remaining(), 5u);
}

}  // namespace
}  // namespace holdfast::service
