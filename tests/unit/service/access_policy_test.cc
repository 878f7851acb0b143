// The rules of who may do what.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "service/access/policy.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Policy> PolicyOf(const std::string& text) {
  config::v1::AuthorizationConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return Policy::Compile(config);
}

Rights RightsBy(const std::string& text, absl::string_view principal) {
  const auto policy = PolicyOf(text);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? policy->RightsOf(principal) : Rights();
}

TEST(PolicyTest, WithoutRulesNothingIsAllowed) {
  const Rights rights = RightsBy("", "anybody");
  for (const Verb verb : {Verb::kRead, Verb::kWrite, Verb::kAdmin}) {
    EXPECT_FALSE(rights.OnObject(verb, "shop", "Counter"));
    EXPECT_FALSE(rights.InNamespace(verb, "shop"));
    EXPECT_FALSE(rights.OnAnything(verb));
    EXPECT_FALSE(rights.OnEverything(verb));
  }
}

TEST(PolicyTest, ARuleIsForItsPrincipalsNamespacesClassesAndVerbs) {
  const std::string rule =
      "rule { principal: 'shop-*' namespace: 'shop' object_class: 'C*r' verb: VERB_READ verb: VERB_WRITE }";
  const Rights rights = RightsBy(rule, "shop-web");
  EXPECT_TRUE(rights.OnObject(Verb::kRead, "shop", "Counter"));
  EXPECT_TRUE(rights.OnObject(Verb::kWrite, "shop", "Counter"));
  EXPECT_FALSE(rights.OnObject(Verb::kAdmin, "shop", "Counter"));
  EXPECT_FALSE(rights.OnObject(Verb::kRead, "shop2", "Counter"));
  EXPECT_FALSE(rights.OnObject(Verb::kRead, "shop", "Object"));
  EXPECT_TRUE(rights.InNamespace(Verb::kRead, "shop"));
  EXPECT_FALSE(rights.InNamespace(Verb::kRead, "other"));
  EXPECT_TRUE(rights.OnAnything(Verb::kWrite));
  EXPECT_FALSE(rights.OnEverything(Verb::kWrite));
  EXPECT_FALSE(RightsBy(rule, "shop").OnAnything(Verb::kRead));
  EXPECT_FALSE(RightsBy(rule, "my-shop-web").OnAnything(Verb::kRead));
}

TEST(PolicyTest, NoVerbImpliesAnother) {
  const Verb verbs[] = {Verb::kRead, Verb::kWrite, Verb::kAdmin};
  for (const Verb given : verbs) {
    const Rights rights = RightsBy(absl::StrCat("rule { verb: VERB_", VerbName(given), " }"), "anybody");
    for (const Verb asked : verbs) {
      EXPECT_EQ(rights.OnObject(asked, "shop", "Counter"), asked == given);
      EXPECT_EQ(rights.OnEverything(asked), asked == given);
    }
  }
}

// Two rules together do not allow what neither does.
TEST(PolicyTest, RulesAreNotMixed) {
  const Rights rights = RightsBy(
      "rule { namespace: 'a' verb: VERB_READ } rule { namespace: 'b' object_class: 'Object' verb: VERB_WRITE }", "p");
  EXPECT_TRUE(rights.OnObject(Verb::kRead, "a", "Counter"));
  EXPECT_FALSE(rights.OnObject(Verb::kWrite, "a", "Counter"));
  EXPECT_FALSE(rights.OnObject(Verb::kRead, "b", "Object"));
  EXPECT_FALSE(rights.OnObject(Verb::kWrite, "b", "Counter"));
  EXPECT_TRUE(rights.OnObject(Verb::kWrite, "b", "Object"));
}

TEST(PolicyTest, WhatIsForNoObjectTakesARuleForEverything) {
  EXPECT_TRUE(RightsBy("rule { namespace: '*' verb: VERB_ADMIN }", "p").OnEverything(Verb::kAdmin));
  EXPECT_FALSE(RightsBy("rule { namespace: 'a*' verb: VERB_ADMIN }", "p").OnEverything(Verb::kAdmin));
  EXPECT_FALSE(RightsBy("rule { object_class: 'Counter' verb: VERB_ADMIN }", "p").OnEverything(Verb::kAdmin));
}

TEST(PolicyTest, BadRulesAreNamed) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"rule { verb: VERB_READ } rule { principal: 'a' }", "authorization.rule[1].verb: is missing"},
      {"rule { verb: VERB_UNSPECIFIED }", "authorization.rule[0].verb: 0 is none of READ, WRITE, ADMIN"},
      {"rule { verb: 7 }", "authorization.rule[0].verb: 7 is none of"},
      {"rule { principal: 'a b' verb: VERB_READ }", "authorization.rule[0].principal: may have no blanks"},
      {"rule { principal: '[ab]' verb: VERB_READ }", "authorization.rule[0].principal: "},
      {"rule { namespace: 'a{b,c}' verb: VERB_READ }", "authorization.rule[0].namespace: "},
      {"rule { object_class: 'a\\\\*' verb: VERB_READ }", "authorization.rule[0].object_class: "},
  };
  for (const auto& [text, error] : kCases) {
    EXPECT_THAT(std::string(PolicyOf(text).status().message()), HasSubstr(error)) << text;
  }
  EXPECT_THAT(
      std::string(PolicyOf("rule { principal: '" + std::string(257, 'a') + "' verb: VERB_READ }").status().message()),
      HasSubstr("has 257 bytes; at most 256"));
  std::string many;
  for (int i = 0; i <= Policy::kRulesMax; ++i) many += "rule { verb: VERB_READ }\n";
  EXPECT_THAT(std::string(PolicyOf(many).status().message()),
              HasSubstr("authorization.rule: there are 1001; at most 1000"));
}

// The reference is the library's regular expressions.
TEST(PolicyTest, PatternsMatchAsRegularExpressionsDo) {
  std::mt19937 random(17);
  const auto text_of = [&](const std::string& letters, size_t length_max) {
    std::string text(random() % (length_max + 1), ' ');
    for (char& c : text) c = letters[random() % letters.size()];
    return text;
  };
  int matches = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string pattern = text_of("ab*?", 8);
    const std::string text = text_of("ab", 10);
    const std::regex reference(absl::StrReplaceAll(pattern, {{"*", ".*"}, {"?", "."}}));
    const bool expected = std::regex_match(text, reference);
    matches += expected ? 1 : 0;
    ASSERT_EQ(MatchesPattern(pattern, text), expected) << pattern << " " << text;
  }
  EXPECT_GT(matches, 1000);
}

// A pattern of many stars would take years with a matcher that tries every way.
TEST(PolicyTest, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 127; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesPattern(pattern + "b", std::string(200, 'a')));
}

}  // namespace
}  // namespace holdfast::service
