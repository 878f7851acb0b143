// The rules of Envoy's rate limit service: what files say, which rule a descriptor meets, and what is wrong with a
// file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/ratelimit/limit_names.h"
#include "service/ratelimit/read_rules.h"
#include "service/ratelimit/rules.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Entries = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> ProblemsOf(const std::string& text,
                                    v1::RateLimitAlgorithm by_default = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG) {
  return RuleReader(by_default).Read(text);
}

class RulesTest : public ::testing::Test {
 protected:
  void Read(const std::string& text) {
    RuleReader reader(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
    ASSERT_THAT(reader.Read(text), IsEmpty());
    rules_ = reader.Take();
  }

  // Returns the number of requests that the rule for these entries allows; -1 if there is none with a limit.
  int64_t LimitFor(const Entries& entries, const std::string& domain = "d") const {
    const Domain* const found = rules_.Find(domain);
    if (found == nullptr) return -1;
    Descriptor descriptor;
    for (const auto& [key, value] : entries) {
      auto* const entry = descriptor.add_entries();
      entry->set_key(key);
      entry->set_value(value);
    }
    const std::vector<const Rule*> met = FindRules(*found, descriptor);
    if (met.empty() || !met.back()->has_limit) return -1;
    EXPECT_EQ(met.size(), entries.size());
    return met.back()->limit.requests_per_unit;
  }

  RuleSet rules_;
};

// --- Which rule a descriptor meets.

TEST_F(RulesTest, TheExactValueComesFirstThenWildcardsInTheirOrderThenTheKeyAlone) {
  Read(R"(
domain: d
descriptors:
  - {key: k, rate_limit: {unit: second, requests_per_unit: 1}}
  - {key: k, value: ab*, rate_limit: {unit: second, requests_per_unit: 2}}
  - {key: k, value: a*, rate_limit: {unit: second, requests_per_unit: 3}}
  - {key: k, value: abc, rate_limit: {unit: second, requests_per_unit: 4}}
  - {key: other, value: x, rate_limit: {unit: second, requests_per_unit: 5}}
)");
  EXPECT_EQ(LimitFor({{"k", "abc"}}), 4);
  EXPECT_EQ(LimitFor({{"k", "abd"}}), 2);
  EXPECT_EQ(LimitFor({{"k", "ab"}}), 2);
  EXPECT_EQ(LimitFor({{"k", "ax"}}), 3);
  EXPECT_EQ(LimitFor({{"k", "x"}}), 1);
  EXPECT_EQ(LimitFor({{"k", ""}}), 1);
  EXPECT_EQ(LimitFor({{"other", "x"}}), 5);
  EXPECT_EQ(LimitFor({{"other", "y"}}), -1);
  EXPECT_EQ(LimitFor({{"unheard", "x"}}), -1);
  EXPECT_EQ(LimitFor({{"k", "abc"}}, "unheard"), -1);
}

TEST_F(RulesTest, AWildcardMayBeNothingButItsStarAndAStarWithinAValueIsAnOrdinaryLetter) {
  Read(R"(
domain: d
descriptors:
  - {key: k, value: "*", rate_limit: {unit: second, requests_per_unit: 1}}
  - {key: k, value: "a*c", rate_limit: {unit: second, requests_per_unit: 2}}
)");
  EXPECT_EQ(LimitFor({{"k", "anything"}}), 1);
  EXPECT_EQ(LimitFor({{"k", "a*c"}}), 2);
  EXPECT_EQ(LimitFor({{"k", "abc"}}), 1);
}

TEST_F(RulesTest, TheDepthOfADescriptorMustBeThatOfItsRule) {
  Read(R"(
domain: d
descriptors:
  - key: a
    descriptors:
      - key: b
        rate_limit: {unit: minute, requests_per_unit: 7}
        descriptors:
          - {key: c, rate_limit: {unit: hour, requests_per_unit: 8}}
)");
  EXPECT_EQ(LimitFor({{"a", "1"}}), -1);
  EXPECT_EQ(LimitFor({{"a", "1"}, {"b", "2"}}), 7);
  EXPECT_EQ(LimitFor({{"a", "1"}, {"b", "2"}, {"c", "3"}}), 8);
  EXPECT_EQ(LimitFor({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}), -1);
  EXPECT_EQ(LimitFor({{"b", "2"}}), -1);
  EXPECT_EQ(LimitFor({{"a", "1"}, {"c", "3"}}), -1);
}

TEST_F(RulesTest, ARuleThatLeadsNoFurtherIsNotLeftForAnother) {
  Read(R"(
domain: d
descriptors:
  - {key: a, value: x, descriptors: [{key: b, rate_limit: {unit: second, requests_per_unit: 1}}]}
  - {key: a, descriptors: [{key: c, rate_limit: {unit: second, requests_per_unit: 2}}]}
)");
  EXPECT_EQ(LimitFor({{"a", "x"}, {"c", "1"}}), -1);
  EXPECT_EQ(LimitFor({{"a", "y"}, {"c", "1"}}), 2);
}

// --- What a file says.

TEST_F(RulesTest, SeveralDocumentsAreSeveralDomains) {
  Read(R"(
domain: d
descriptors: [{key: k, rate_limit: {unit: second, requests_per_unit: 1}}]
---
domain: e
descriptors: [{key: k, rate_limit: {unit: second, requests_per_unit: 2}}]
---
domain: empty
)");
  EXPECT_EQ(rules_.domains(), 3u);
  EXPECT_EQ(LimitFor({{"k", "1"}}, "d"), 1);
  EXPECT_EQ(LimitFor({{"k", "1"}}, "e"), 2);
  EXPECT_EQ(LimitFor({{"k", "1"}}, "empty"), -1);
}

TEST_F(RulesTest, EveryKeyOfTheFormat) {
  Read(R"(
domain: d
all_or_nothing: true
descriptors:
  - key: a
    value: 404
    shadow_mode: true
    detailed_metric: true
    rate_limit: {unit: WEEK, requests_per_unit: 5, name: mine, algorithm: gcra, replaces: [{name: one}, {name: two}]}
  - {key: b, value: x*, share_threshold: true, value_to_metric: true, rate_limit: {unlimited: true, name: free}}
  - {key: c, value: ~, rate_limit: ~, descriptors: ~}
)");
  const Domain& domain = *rules_.Find("d");
  EXPECT_TRUE(domain.all_or_nothing);
  const Rule& a = *domain.rules.Find("a", "404");
  EXPECT_TRUE(a.shadow);
  EXPECT_FALSE(a.shares_threshold);
  EXPECT_EQ(a.limit.unit, envoy::service::ratelimit::v3::RateLimitResponse::RateLimit::WEEK);
  EXPECT_EQ(a.limit.requests_per_unit, 5u);
  EXPECT_EQ(a.limit.name, "mine");
  EXPECT_EQ(a.limit.algorithm, v1::RATE_LIMIT_ALGORITHM_GCRA);
  EXPECT_THAT(a.limit.replaces, ElementsAre("one", "two"));
  const Rule& b = *domain.rules.Find("b", "xyz");
  EXPECT_TRUE(b.shares_threshold);
  EXPECT_TRUE(b.limit.unlimited);
  EXPECT_FALSE(domain.rules.Find("c", "anything")->has_limit);
}

// --- What is wrong with a file.

TEST(RuleProblemsTest, EachIsToldWithItsLineAndItsPath) {
  const std::string head = "domain: d\ndescriptors:\n";
  const std::pair<std::string, std::string> cases[] = {
      {"", "has no document"},
      {"domain: [", "is no YAML"},
      {"just a text", "line 1: the document: is no map of keys and values"},
      {"descriptors: []", "line 1: domain: is missing or empty"},
      {"domain: ''", "line 1: domain: is missing or empty"},
      {"domain: [a]", "line 1: domain: is no text"},
      {"domain: d\ndescriptor: []",
       "line 2: the document: the key \"descriptor\" is not known; there are all_or_nothing, descriptors, domain"},
      {"domain: d\ndomain: e", "line 2: domain: comes twice"},
      {"domain: d\nall_or_nothing: 1", "line 2: all_or_nothing: is neither true nor false"},
      {"domain: d\ndescriptors: {}", "line 2: descriptors: is no list"},
      {head + "  - value: x", "line 3: descriptors[0].key: is missing or empty"},
      {head + "  - a text", "line 3: descriptors[0]: is no map of keys and values"},
      {head + "  - {key: a, quota_mode: true}", "line 3: descriptors[0]: the key \"quota_mode\" is not known"},
      {head + "  - {key: a, shadow_mode: maybe}", "line 3: descriptors[0].shadow_mode: is neither true nor false"},
      {head + "  - {key: a, share_threshold: true}",
       "line 3: descriptors[0].share_threshold: is for a value that ends in *"},
      {head + "  - {key: a, value: x}\n  - {key: a, value: x}",
       "line 4: descriptors[1]: another rule of this list has the same key and value"},
      {head + "  - {key: a}\n  - {key: a}", "line 4: descriptors[1]: another rule of this list"},
      {head + "  - {key: a, value: x*}\n  - {key: a, value: x*}", "line 4: descriptors[1]: another rule of this list"},
      {head + "  - {key: a, rate_limit: {unit: minute}}",
       "line 3: descriptors[0].rate_limit.requests_per_unit: is missing"},
      {head + "  - {key: a, rate_limit: {requests_per_unit: 1}}", "line 3: descriptors[0].rate_limit.unit: is missing"},
      {head + "  - key: a\n    rate_limit:\n      unit: fortnight\n      requests_per_unit: 1",
       "line 5: descriptors[0].rate_limit.unit: is none of second, minute, hour, day, week, month, year"},
      {head + "  - {key: a, rate_limit: {unit: unknown, requests_per_unit: 1}}",
       "line 3: descriptors[0].rate_limit.unit: is none of"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: -1}}",
       "line 3: descriptors[0].rate_limit.requests_per_unit: is no number from 0 to 4294967295"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: 4294967296}}", "is no number from 0 to"},
      {head + "  - {key: a, rate_limit: {unlimited: true, unit: day}}",
       "line 3: descriptors[0].rate_limit: an unlimited one has no unit and no requests_per_unit"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: 1, algorithm: leaky}}",
       "line 3: descriptors[0].rate_limit.algorithm: is none of sliding_window, gcra, fixed_window, calendar"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: 100001}}",
       "line 3: descriptors[0].rate_limit: sliding_window counts up to 100000 requests_per_unit"},
      {head + "  - {key: a, rate_limit: {unit: second, requests_per_unit: 1, algorithm: calendar}}",
       "line 3: descriptors[0].rate_limit: calendar counts in a minute, hour, day or month"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: 1, replaces: [{nam: x}]}}",
       "descriptors[0].rate_limit.replaces[0]: the key \"nam\" is not known"},
      {head + "  - {key: a, rate_limit: {unit: day, requests_per_unit: 1, name: x, replaces: [{name: y}, {name: x}]}}",
       "line 3: descriptors[0].rate_limit.replaces: names this limit itself"},
      {head + "  - key: a\n    descriptors:\n      - key: b\n        descriptors:\n          - {key: c, rate_limit: 5}",
       "line 7: descriptors[0].descriptors[0].descriptors[0].rate_limit: is no map of keys and values"},
      {"domain: d\n---\ndomain: d", "line 3: domain: \"d\" comes twice"},
      {"domain: \"\xff\"", "is no UTF-8"},
  };
  for (const auto& [text, problem] : cases) {
    const std::vector<std::string> problems = ProblemsOf(text);
    ASSERT_FALSE(problems.empty()) << text;
    EXPECT_THAT(problems.front(), HasSubstr(problem)) << text;
  }
}

TEST(RuleProblemsTest, AllOfAFileAreToldUpToABound) {
  std::string text = "domain: d\ndescriptors:\n";
  for (int i = 0; i < 3; ++i) text += "  - {key: a, no: 1}\n";
  EXPECT_THAT(ProblemsOf(text), ElementsAre(HasSubstr("line 3: "), HasSubstr("line 4: "), HasSubstr("line 5: ")));
  for (int i = 0; i < 1000; ++i) text += "  - {key: a, no: 1}\n";
  EXPECT_EQ(ProblemsOf(text).size(), kProblemsMax);
}

TEST(RuleProblemsTest, TheAlgorithmOfTheServerMustCountTheRule) {
  const std::string large = "domain: d\ndescriptors: [{key: a, rate_limit: {unit: day, requests_per_unit: 100001}}]";
  EXPECT_THAT(ProblemsOf(large, v1::RATE_LIMIT_ALGORITHM_GCRA), IsEmpty());
  EXPECT_THAT(ProblemsOf(large, v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW), IsEmpty());
  const std::string second = "domain: d\ndescriptors: [{key: a, rate_limit: {unit: second, requests_per_unit: 1}}]";
  EXPECT_THAT(ProblemsOf(second, v1::RATE_LIMIT_ALGORITHM_CALENDAR), ElementsAre(HasSubstr("calendar counts in")));
}

// --- Bounds.

TEST(RuleProblemsTest, DepthRulesWildcardsDomainsAndBytesAreBounded) {
  std::string deep = "domain: d\ndescriptors: ";
  for (size_t i = 0; i < kRuleDepthMax; ++i) deep += "[{key: k, descriptors: ";
  std::string fits = deep + "~";
  std::string too_deep = deep + "[{key: k}]";
  for (size_t i = 0; i < kRuleDepthMax; ++i) {
    fits += "}]";
    too_deep += "}]";
  }
  EXPECT_THAT(ProblemsOf(fits), IsEmpty());
  EXPECT_THAT(ProblemsOf(too_deep), ElementsAre(HasSubstr("is over 16 levels deep")));
  EXPECT_THAT(ProblemsOf(std::string(10'000, '[')), ElementsAre(HasSubstr("is no YAML")));

  std::string many = "domain: d\ndescriptors:\n";
  for (size_t i = 0; i <= kRulesMax; ++i) absl::StrAppend(&many, "  - {key: k", i, "}\n");
  EXPECT_THAT(ProblemsOf(many), ElementsAre(HasSubstr("there are over 10000 rules")));

  std::string wildcards = "domain: d\ndescriptors:\n";
  for (size_t i = 0; i <= RuleLevel::kWildcardsMax; ++i)
    absl::StrAppend(&wildcards, "  - {key: k, value: v", i, "*}\n");
  EXPECT_THAT(ProblemsOf(wildcards), ElementsAre(HasSubstr("over 100 rules of this list have this key and end in *")));

  std::string domains;
  for (size_t i = 0; i <= kDomainsMax; ++i) absl::StrAppend(&domains, "---\ndomain: d", i, "\n");
  EXPECT_THAT(ProblemsOf(domains), ElementsAre(HasSubstr("has over 1000 documents")));

  EXPECT_THAT(ProblemsOf(std::string(kRulesFileBytesMax + 1, '#')), ElementsAre(HasSubstr("has over 1048576 bytes")));
  EXPECT_THAT(ProblemsOf("domain: d\ndescriptors: [{key: " + std::string(kRuleTextBytesMax + 1, 'k') + "}]"),
              ElementsAre(HasSubstr("has over 512 bytes")));
  EXPECT_THAT(ProblemsOf("domain: " + std::string(kDomainBytesMax + 1, 'd')), ElementsAre(HasSubstr("over 256 bytes")));
}

// Each level doubles the one below: with aliases, forty lines would be a million million rules.
TEST(RuleProblemsTest, AliasesDoNotMakeASmallFileLarge) {
  std::string text = "domain: d\ndescriptors:\n  - {key: k, descriptors: &a0 [{key: x}, {key: y}]}\n";
  for (int i = 1; i < 14; ++i) {
    absl::StrAppend(&text, "  - {key: k", i, ", descriptors: &a", i, " [{key: x, descriptors: *a", i - 1,
                    "}, {key: y, descriptors: *a", i - 1, "}]}\n");
  }
  EXPECT_THAT(ProblemsOf(text), ::testing::Contains(HasSubstr("there are over 10000 rules")));
  EXPECT_THAT(ProblemsOf("domain: d\ndescriptors: &a [{key: k, descriptors: *a}]"),
              ElementsAre(HasSubstr("is over 16 levels deep")));
}

// yaml-cpp finds documents without end where a text begins with a comma.
TEST(RuleProblemsTest, ATextWithoutEndIsRefused) {
  EXPECT_THAT(ProblemsOf(", a"), ElementsAre(HasSubstr("has over 1000 documents")));
}

TEST(RuleProblemsTest, DomainsOfAllFilesAreBoundedTogether) {
  RuleReader reader(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  std::string domains;
  for (size_t i = 0; i < kDomainsMax; ++i) absl::StrAppend(&domains, "---\ndomain: d", i, "\n");
  EXPECT_THAT(reader.Read(domains), IsEmpty());
  EXPECT_THAT(reader.Read("domain: one more"), ElementsAre(HasSubstr("domain: there are over 1000")));
}

// --- Keys.

std::string KeyOf(const std::vector<std::string>& parts) {
  LimitKey key;
  for (const std::string& part : parts) key.Add(part);
  return key.Take();
}

TEST(LimitKeyTest, NoTwoListsOfPartsHaveOneKey) {
  const std::vector<std::vector<std::string>> lists = {
      {"a_b", "c"},   {"a", "b_c"}, {"a", "b", "c"},  {"a_b_c"},  {"", "a"},      {"a", ""},
      {"1:a", "b"},   {"1:a1:b"},   {"a1:b"},         {"a", "b"}, {"a", "1:b"},   {"a1:", "b"},
      {"#", "a", ""}, {"10:", "a"}, {"1", "0:a", ""}, {"ab"},     {"ab", "", ""}, {"", "", "ab"}};
  std::vector<std::string> keys;
  for (const auto& list : lists) keys.push_back(KeyOf(list));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(KeyOf({"a_b", "c"}), "3:a_b1:c");
}

TEST(LimitKeyTest, ALongKeyIsAHashOfAllOfIt) {
  const std::string most(508, 'x');
  EXPECT_EQ(KeyOf({most}), "508:" + most);
  const std::string hashed = KeyOf({most + "x"});
  EXPECT_EQ(hashed.size(), 65u);
  EXPECT_EQ(hashed[0], '#');
  EXPECT_NE(hashed, KeyOf({most + "y"}));
  EXPECT_NE(hashed, KeyOf({most, "x"}));
}

TEST(LimitKeyTest, OneRuleWithManyDescriptorsHasManyObjects) {
  std::vector<int> keys_of(16);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = ObjectOfKey("shop", KeyOf({"user", absl::StrCat(i)}), 16);
    int object = -1;
    ASSERT_EQ(std::sscanf(name.c_str(), "envoy/%d/shop", &object), 1) << name;
    ++keys_of[static_cast<size_t>(object)];
  }
  EXPECT_THAT(keys_of, ::testing::Each(::testing::AllOf(::testing::Gt(30), ::testing::Lt(100))));
  EXPECT_NE(ObjectOfKey("0/a", "k", 1), ObjectOfKey("a", "k", 1));
  EXPECT_NE(ObjectOfDomain("a"), ObjectOfKey("a", "k", 1));
}

}  // namespace
}  // namespace holdfast::service
