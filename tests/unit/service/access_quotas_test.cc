// The rate of requests of a namespace.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "service/access/quotas.h"

namespace holdfast::service {
namespace {

using ::testing::HasSubstr;

config::v1::Config ConfigOf(const std::string& text) {
  config::v1::Config config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

class QuotasTest : public ::testing::Test {
 protected:
  int TakeAll(Quotas* quotas, absl::string_view ns) {
    int taken = 0;
    while (taken < 100'000 && quotas->Take(ns, now_) == absl::ZeroDuration()) ++taken;
    return taken;
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
};

TEST_F(QuotasTest, ABurstAndThenTheRate) {
  Quotas quotas(ConfigOf("namespace { name: 'a' requests_per_second: 10 burst: 3 }").namespace_());
  EXPECT_EQ(TakeAll(&quotas, "a"), 3);
  EXPECT_EQ(quotas.Take("a", now_), absl::Milliseconds(100));
  now_ += absl::Milliseconds(99);
  EXPECT_EQ(quotas.Take("a", now_), absl::Milliseconds(1));
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(TakeAll(&quotas, "a"), 1);
  now_ += absl::Hours(1);
  EXPECT_EQ(TakeAll(&quotas, "a"), 3);
}

TEST_F(QuotasTest, WithoutABurstItIsThatOfASecond) {
  Quotas quotas(ConfigOf("namespace { name: 'a' requests_per_second: 50 }").namespace_());
  EXPECT_EQ(TakeAll(&quotas, "a"), 50);
}

TEST_F(QuotasTest, OverALongTimeTheRateHolds) {
  Quotas quotas(ConfigOf("namespace { name: 'a' requests_per_second: 7 burst: 2 }").namespace_());
  int taken = 0;
  for (int i = 0; i < 100'000; ++i, now_ += absl::Milliseconds(1)) {
    if (quotas.Take("a", now_) == absl::ZeroDuration()) ++taken;
  }
  EXPECT_NEAR(taken, 700, 2);
}

TEST_F(QuotasTest, NodesOfAClusterShareTheRateAndTheBurst) {
  Quotas quotas(ConfigOf("namespace { name: 'a' requests_per_second: 100 burst: 40 }").namespace_());
  constexpr double kShare = 0.25;
  int taken = 0;
  while (quotas.Take("a", now_, kShare) == absl::ZeroDuration()) ++taken;
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(quotas.Take("a", now_, kShare), absl::Milliseconds(40));
  for (int i = 0; i < 10'000; ++i, now_ += absl::Milliseconds(1)) {
    if (quotas.Take("a", now_, kShare) == absl::ZeroDuration()) ++taken;
  }
  EXPECT_NEAR(taken, 10 + 250, 2);
  // The others have gone.
  now_ += absl::Hours(1);
  EXPECT_EQ(TakeAll(&quotas, "a"), 40);
}

TEST_F(QuotasTest, AShareIsOneRequestAtLeast) {
  Quotas quotas(ConfigOf("namespace { name: 'a' requests_per_second: 1 }").namespace_());
  EXPECT_EQ(quotas.Take("a", now_, 0.1), absl::ZeroDuration());
  EXPECT_EQ(quotas.Take("a", now_, 0.1), absl::Seconds(10));
  now_ += absl::Seconds(10);
  EXPECT_EQ(quotas.Take("a", now_, 0.1), absl::ZeroDuration());
}

TEST_F(QuotasTest, OthersHaveTheDefaultEach) {
  Quotas quotas(ConfigOf("namespace { requests_per_second: 5 } namespace { name: 'free' }").namespace_());
  EXPECT_EQ(TakeAll(&quotas, "a"), 5);
  EXPECT_EQ(TakeAll(&quotas, "b"), 5);
  EXPECT_EQ(TakeAll(&quotas, "free"), 100'000);
  Quotas without(ConfigOf("namespace { name: 'a' requests_per_second: 1 }").namespace_());
  EXPECT_EQ(TakeAll(&without, "b"), 100'000);
}

// A client that invents namespaces finds one bucket for all of them in the end.
TEST_F(QuotasTest, NamespacesThatAreRememberedAreBounded) {
  Quotas quotas(ConfigOf("namespace { requests_per_second: 2 }").namespace_());
  for (size_t i = 0; i < Quotas::kBucketsMax; ++i) EXPECT_EQ(TakeAll(&quotas, absl::StrCat("n", i)), 2);
  EXPECT_EQ(TakeAll(&quotas, "one-more"), 2);
  EXPECT_EQ(TakeAll(&quotas, "another"), 0);
  now_ += absl::Seconds(1);
  EXPECT_EQ(TakeAll(&quotas, "another"), 2);
  EXPECT_EQ(TakeAll(&quotas, "n1"), 2);
}

TEST_F(QuotasTest, BadSettingsAreNamed) {
  const auto twice = ConfigOf("namespace { name: 'a' } namespace { name: 'b' } namespace { name: 'a' }");
  EXPECT_THAT(std::string(Quotas::Check(twice.namespace_()).message()),
              HasSubstr("namespace[2].name: \"a\" is there twice"));
  const auto defaults = ConfigOf("namespace {} namespace {}");
  EXPECT_THAT(std::string(Quotas::Check(defaults.namespace_()).message()), HasSubstr("namespace[1].name"));
}

}  // namespace
}  // namespace holdfast::service
