#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/access/jwt_cache.h"
#include "tests/unit/service/jwt_signer.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::service {
namespace {

using nlohmann::json;
using storage::IsOk;
using storage::IsOkAnd;
using storage::IsStatus;

constexpr absl::StatusCode kUnauthenticated = absl::StatusCode::kUnauthenticated;
constexpr int64_t kNow = 1'780'000'000;  // seconds
const absl::Time kNowTime = absl::FromUnixSeconds(kNow);

class JwtCacheTest : public testing::Test {
 protected:
  std::string Token(int i) const {
    return signer_.Sign(
        {{"iss", "i"}, {"aud", "a"}, {"sub", absl::StrCat("s", i)}, {"nbf", kNow}, {"exp", kNow + 600}});
  }
  JwtVerifier Verifier() const { return *JwtVerifier::Create({"i", "a"}, KeySetJson({signer_.PublicJwk()})); }
  static Identity Of(int i) { return {*Principal::Parse(absl::StrCat("s", i)), kNowTime + absl::Seconds(660)}; }
  // Returns whether the cache knows the token: only then it is accepted before its time.
  static bool Knows(JwtCache& cache, const std::string& token) {
    return cache.Verify(token, kNowTime - absl::Hours(1)).ok();
  }

  const JwtSigner signer_{"EdDSA"};
};

TEST_F(JwtCacheTest, AnAcceptedTokenIsRememberedUntilItExpires) {
  JwtCache cache(Verifier(), 10);
  const std::string token = Token(1);
  EXPECT_FALSE(Knows(cache, token));
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_THAT(cache.Verify(token, kNowTime), IsOkAnd(Of(1)));
  EXPECT_TRUE(Knows(cache, token));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_THAT(cache.Verify(token, kNowTime + absl::Seconds(659)), IsOkAnd(Of(1)));
  EXPECT_THAT(cache.Verify(token, kNowTime + absl::Seconds(660)), IsStatus(kUnauthenticated, "expired"));
}

TEST_F(JwtCacheTest, ATokenThatIsAlmostTheSameIsRefused) {
  JwtCache cache(Verifier(), 10);
  const std::string token = Token(1);
  ASSERT_THAT(cache.Verify(token, kNowTime), IsOk());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_THAT(cache.Verify(other, kNowTime), IsStatus(kUnauthenticated, ""));
  }
  EXPECT_THAT(cache.Verify(std::string(9000, 'a'), kNowTime), IsStatus(kUnauthenticated, "over 8192 bytes"));
  EXPECT_EQ(cache.size(), 1u);
}

TEST_F(JwtCacheTest, TokensInUseStayAndOthersGo) {
  JwtCache cache(Verifier(), 10);
  const std::string used = Token(0);
  const std::string unused = Token(1);
  ASSERT_THAT(cache.Verify(used, kNowTime), IsOk());
  ASSERT_THAT(cache.Verify(unused, kNowTime), IsOk());
  for (int i = 2; i < 40; ++i) {
    ASSERT_THAT(cache.Verify(Token(i), kNowTime), IsOkAnd(Of(i)));
    EXPECT_TRUE(Knows(cache, used)) << i;
    EXPECT_LE(cache.size(), 10u);
  }
  EXPECT_FALSE(Knows(cache, unused));
}

TEST_F(JwtCacheTest, ACacheOfNoSizeRemembersNothing) {
  JwtCache cache(Verifier(), 0);
  EXPECT_THAT(cache.Verify(Token(1), kNowTime), IsOkAnd(Of(1)));
  EXPECT_FALSE(Knows(cache, Token(1)));
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(JwtCacheTest, ManyThreadsUseIt) {
  JwtCache cache(Verifier(), 8);
  std::vector<std::string> tokens;
  for (int i = 0; i < 12; ++i) tokens.push_back(Token(i));
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0; n < 120; ++n) {
        const int i = (n * (t + 1)) % 12;
        const auto found = cache.Verify(tokens[i], kNowTime);
        right += found.ok() && *found == Of(i) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4 * 120);
  EXPECT_LE(cache.size(), 8u);
}

}  // namespace
}  // namespace holdfast::service
