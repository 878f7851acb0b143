#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/credentials.h"
#include "service/access/tokens.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::service {
namespace {

using storage::IsOk;
using storage::IsOkAnd;
using storage::IsStatus;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kUnauthenticated = absl::StatusCode::kUnauthenticated;

std::string HexHash(absl::string_view token) { return absl::BytesToHexString(TokenHash(token)); }
std::string Token(char filler) { return "hf_" + std::string(43, filler); }
absl::Time At(absl::string_view text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, nullptr));
  return time;
}
Identity Of(absl::string_view name, absl::Time expires = absl::InfiniteFuture()) {
  return {*Principal::Parse(name), expires};
}

class TokensTest : public testing::Test {
 protected:
  absl::StatusOr<Tokens> Parse(const std::string& text) { return Tokens::Parse(text); }

  const absl::Time now_ = At("2026-06-01T00:00:00Z");
};

TEST_F(TokensTest, ANewTokenIsFoundByItsLine) {
  const std::string token = NewToken().value();
  const auto tokens = Parse("shop-web " + HexHash(token) + "\n");
  ASSERT_THAT(tokens, IsOk());
  EXPECT_EQ(tokens->size(), 1u);
  EXPECT_THAT(tokens->Find(token, now_), IsOkAnd(Of("shop-web")));
}

TEST_F(TokensTest, NewTokensHaveTheFormAndDiffer) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    const std::string token = NewToken().value();
    EXPECT_TRUE(IsToken(token)) << token;
    EXPECT_EQ(token.size(), 46u);
    std::string random;
    EXPECT_TRUE(absl::WebSafeBase64Unescape(token.substr(3), &random));
    EXPECT_EQ(random.size(), 32u);
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), 100u);
}

TEST_F(TokensTest, TheHashIsThatOfOtherPrograms) {
  // printf hf_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | sha256sum
  EXPECT_EQ(HexHash(Token('A')), "12fea5cdd285f440d9db5bf1966aa8b0c436e7019c7c7fc48a0f49504e33268e");
}

TEST_F(TokensTest, CommentsBlanksAndEmptyLinesAreLeftOut) {
  const auto tokens = Parse("# a comment\n\n \t\na\t" + HexHash(Token('a')) + "  # behind a token\r\n  b#1  " +
                            HexHash(Token('b')) + "\t2027-01-01T00:00:00+02:00 #\n#c " + HexHash(Token('c')));
  ASSERT_THAT(tokens, IsOk());
  EXPECT_EQ(tokens->size(), 2u);
  EXPECT_THAT(tokens->Find(Token('a'), now_), IsOkAnd(Of("a")));
  EXPECT_THAT(tokens->Find(Token('b'), now_), IsOkAnd(Of("b#1", At("2026-12-31T22:00:00Z"))));
  EXPECT_THAT(tokens->Find(Token('c'), now_), IsStatus(kUnauthenticated, "unknown"));
}

TEST_F(TokensTest, AnEmptyFileRefusesEveryToken) {
  for (const std::string text : {"", "\n", "# nobody\n"}) {
    const auto tokens = Parse(text);
    ASSERT_THAT(tokens, IsOk());
    EXPECT_THAT(tokens->Find(Token('a'), now_), IsStatus(kUnauthenticated, "unknown"));
  }
  EXPECT_THAT(Tokens().Find(Token('a'), now_), IsStatus(kUnauthenticated, "unknown"));
}

TEST_F(TokensTest, ATokenIsRefusedFromTheInstantOfItsExpiry) {
  const absl::Time expires = At("2026-06-01T00:00:01.5Z");
  const auto tokens = Parse("a " + HexHash(Token('a')) + " 2026-06-01T00:00:01.5Z");
  ASSERT_THAT(tokens, IsOk());
  EXPECT_THAT(tokens->Find(Token('a'), expires - absl::Nanoseconds(1)), IsOkAnd(Of("a", expires)));
  EXPECT_THAT(tokens->Find(Token('a'), expires), IsStatus(kUnauthenticated, "the token of a expired at 2026-06-01"));
  EXPECT_THAT(tokens->Find(Token('a'), expires + absl::Hours(1)), IsStatus(kUnauthenticated, "expired"));
}

TEST_F(TokensTest, OnlyTheExactTextIsTheToken) {
  const std::string token = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_aBcDeF";
  ASSERT_EQ(token.size(), kTokenBytes + 1);  // one character too many, to be cut
  const std::string exact = token.substr(0, kTokenBytes);
  const auto tokens = Parse("a " + absl::AsciiStrToUpper(HexHash(exact)));  // hex digits may be of either case
  ASSERT_THAT(tokens, IsOk());
  ASSERT_THAT(tokens->Find(exact, now_), IsOk());
  for (const std::string& other :
       {token, exact.substr(0, 45), absl::AsciiStrToLower(exact), absl::AsciiStrToUpper(exact), " " + exact,
        exact + " ", exact + "=", exact + std::string(1, '\0'), "HF_" + exact.substr(3), exact.substr(3),
        "Bearer " + exact, HexHash(exact), std::string(), std::string(9000, 'a')}) {
    EXPECT_THAT(tokens->Find(other, now_), IsStatus(kUnauthenticated, "")) << other;
  }
  for (size_t i = 0; i < exact.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = exact;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      const auto found = tokens->Find(other, now_);
      EXPECT_THAT(found, IsStatus(kUnauthenticated, "")) << other;
      EXPECT_THAT(std::string(found.status().message()), Not(HasSubstr(other.substr(3, 10))));
    }
  }
}

TEST_F(TokensTest, TheHashOfATextThatIsNoTokenAdmitsNobody) {
  // An operator must not be able to choose a weak token: a password's hash is a line, and the password no token.
  const auto tokens = Parse("a " + HexHash("password"));
  ASSERT_THAT(tokens, IsOk());
  EXPECT_THAT(tokens->Find("password", now_), IsStatus(kUnauthenticated, "form"));
}

TEST_F(TokensTest, ErrorsNameTheLineAndShowNothingOfIt) {
  const std::string hash = HexHash(Token('a'));
  const std::string other = HexHash(Token('b'));
  const struct {
    std::string text;
    std::string problem;
  } cases[] = {
      {"a", "line 1: a line is NAME SHA256-HEX [EXPIRES]"},
      {"# c\n\na " + hash + "\nb", "line 4: a line is"},
      {"a " + hash + " 2027-01-01T00:00:00Z 1", "line 1: a line is"},
      {"a " + hash + "\na " + other, "line 2: has the name of line 1"},
      {"a " + hash + "\n\nb " + hash, "line 3: has the hash of line 1"},
      {"a " + hash + "\nb " + absl::AsciiStrToUpper(hash), "line 2: has the hash of line 1"},
      {"a " + hash.substr(1), "line 1: the SHA-256 must be 64 hex digits"},
      {"a " + hash + "0", "line 1: the SHA-256 must be 64 hex digits"},
      {"a g" + hash.substr(1), "line 1: the SHA-256 must be 64 hex digits"},
      {"a " + hash + " tomorrow", "line 1: the expiry must be a time"},
      {"a " + hash + " infinite-future", "line 1: the expiry must be a time"},
      {"a " + hash + " 2027-13-01T00:00:00Z", "line 1: the expiry must be a time"},
      {"a " + hash + " 2027-01-01", "line 1: the expiry must be a time"},
      {"a " + hash + " 2027-01-01T00:00:00", "line 1: the expiry must be a time"},
      {"a " + hash + " 20270-01-01T00:00:00Z", "line 1: the expiry must be a time"},
      {"shop-* " + hash, "line 1: the name must be"},
      {"\xC3\xA9 " + hash, "line 1: the name must be"},
      {"\xEF\xBB\xBF" + std::string("a ") + hash, "line 1: the name must be"},
      {"a\x01 " + hash, "line 1: the name must be"},
      {std::string("a\0b ", 4) + hash, "line 1: the name must be"},
      {std::string(201, 'a') + " " + hash, "line 1: the name must be at most 200"},
      {hash + " " + other, "line 1: the name must be"},
      {"a " + Token('s'), "line 1: a token does not belong into this file"},
      {Token('s') + " " + hash, "line 1: a token does not belong into this file"},
      {Token('s'), "line 1: a token does not belong into this file"},
  };
  for (const auto& [text, problem] : cases) {
    const auto tokens = Parse(text);
    EXPECT_THAT(tokens, IsStatus(kInvalid, problem)) << text;
    const std::string message(tokens.status().message());
    EXPECT_THAT(message, Not(HasSubstr(hash.substr(0, 8)))) << text;
    EXPECT_THAT(message, Not(HasSubstr("ssss"))) << text;
  }
  EXPECT_THAT(Parse(std::string(200, 'a') + " " + hash), IsOk());
  EXPECT_THAT(Parse("spiffe://example/ops/a " + hash), IsOk());
}

TEST_F(TokensTest, TheFileIsBounded) {
  std::string text;
  for (size_t i = 0; i < Tokens::kLinesMax; ++i) {
    absl::StrAppend(&text, "n", i, " ", HexHash(absl::StrCat(i)), "\n");
  }
  const auto tokens = Parse(text);
  ASSERT_THAT(tokens, IsOk());
  EXPECT_EQ(tokens->size(), Tokens::kLinesMax);
  EXPECT_THAT(Parse(text + "\n"), IsStatus(kInvalid, "over 10000 lines"));
  EXPECT_THAT(Parse("#" + std::string(Tokens::kFileBytesMax - 1, 'x')), IsOk());
  EXPECT_THAT(Parse("#" + std::string(Tokens::kFileBytesMax, 'x')), IsStatus(kInvalid, "over 1048576 bytes"));
}

TEST(PrincipalTest, NamesArePrintableAsciiWithoutBlanksAndStars) {
  for (const std::string name : {"a", "shop-web", "spiffe://example/ops/a", "auth0|1", "a@example.com", "~"}) {
    EXPECT_TRUE(Principal::Parse(name).has_value()) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\tb"), std::string("a\n"), std::string("*"), std::string("a*"),
        std::string("\x7F"), std::string("\xC3\xA9"), std::string("a\0", 2), std::string(201, 'a')}) {
    EXPECT_FALSE(Principal::Parse(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace holdfast::service
