#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/access/key_set.h"
#include "tests/unit/service/jwt_signer.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::service {
namespace {

using nlohmann::json;
using storage::IsOk;
using storage::IsOkAnd;
using storage::IsStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

const JwtSigner& Rsa() {
  static const auto* const signer = new JwtSigner("RS256");
  return *signer;
}
const JwtSigner& P256() {
  static const auto* const signer = new JwtSigner("ES256");
  return *signer;
}
const JwtSigner& Ed25519() {
  static const auto* const signer = new JwtSigner("EdDSA");
  return *signer;
}

json With(json jwk, const std::string& name, const json& value) {
  jwk[name] = value;
  return jwk;
}
json Without(json jwk, const std::string& name) {
  jwk.erase(name);
  return jwk;
}
std::string Base64(absl::string_view bytes) { return JwtSigner::Encode(bytes); }

TEST(KeySetTest, TheExamplesOfTheStandardsAreRead) {
  // RFC 7515 A.2 and A.3, RFC 8037 A.2: a key, and a text with its signature.
  const KeySet set = *KeySet::Parse(R"({"keys":[
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  EXPECT_EQ(set.size(), 2u);
  EXPECT_THAT(set.ignored(), IsEmpty());
  std::string signature;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", &signature));
  EXPECT_TRUE((*set.Find("ES256", std::nullopt))
                  ->Verifies("eyJhbGciOiJFUzI1NiJ9."
                             "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
                             "cnVlfQ",
                             signature));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg", &signature));
  EXPECT_TRUE((*set.Find("EdDSA", std::nullopt))
                  ->Verifies("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", signature));
}

TEST(KeySetTest, MembersOfNoMeaningHereAreIgnored) {
  json jwk = Rsa().PublicJwk();
  jwk["kid"] = "1";
  jwk["use"] = "sig";
  jwk["alg"] = "RS256";
  jwk["key_ops"] = json::array({"verify"});
  jwk["x5c"] = json::array({"MIIC"});
  jwk["x5u"] = "http://127.0.0.1:1/";
  jwk["x5t"] = "AAAA";
  const auto set = KeySet::Parse(json{{"keys", json::array({jwk})}, {"more", 1}}.dump());
  ASSERT_THAT(set, IsOk());
  EXPECT_EQ(set->size(), 1u);
  EXPECT_THAT(set->ignored(), IsEmpty());
}

TEST(KeySetTest, KeysForOtherUsesAreLeftOut) {
  const json rsa = Rsa().PublicJwk();
  const auto set = KeySet::Parse(KeySetJson({
      With(With(rsa, "kid", "encryption"), "use", "enc"),
      With(rsa, "alg", "RS512"),
      With(rsa, "alg", "RSA-OAEP"),
      With(rsa, "alg", "HS256"),
      With(rsa, "key_ops", json::array({"encrypt"})),
      With(rsa, "key_ops", "verify"),
      {{"kty", "EC"}, {"crv", "P-384"}, {"x", "AA"}, {"y", "AA"}},
      {{"kty", "OKP"}, {"crv", "X25519"}, {"x", "AA"}},
      {{"kty", "future"}},
      P256().PublicJwk(),
  }));
  ASSERT_THAT(set, IsOk());
  EXPECT_EQ(set->size(), 1u);
  EXPECT_THAT(set->ignored(),
              ElementsAre("key 0 (kid \"encryption\"): its use or key_ops is not to verify signatures",
                          "key 1: its alg is \"RS512\"; RS256 is used for this type", HasSubstr("RSA-OAEP"),
                          HasSubstr("HS256"), HasSubstr("key 4: its use or key_ops"), HasSubstr("key 5: its use"),
                          "key 6: its type is \"EC\" \"P-384\"; RSA, EC P-256 and OKP Ed25519 are used",
                          HasSubstr("\"OKP\" \"X25519\""), HasSubstr("\"future\"")));
  EXPECT_THAT(set->Find("RS256", std::nullopt), IsStatus(absl::StatusCode::kUnauthenticated, "no key is for alg"));
  EXPECT_THAT(set->Find("ES256", std::nullopt), IsOk());
}

TEST(KeySetTest, BadKeysAreNamed) {
  const json rsa = Rsa().PublicJwk();
  const json ec = P256().PublicJwk();
  const json okp = Ed25519().PublicJwk();
  const std::string modulus = rsa["n"];
  const std::string x = ec["x"];
  const struct {
    json jwk;
    std::string problem;
  } cases[] = {
      {{{"kty", "oct"}, {"k", "AAAA"}}, "symmetric key"},
      {{{"kty", "oct"}}, "symmetric key"},
      {With(rsa, "d", Rsa().EncodedParameter("d")), "is a private key: it has the member d"},
      {With(rsa, "p", "AA"), "is a private key: it has the member p"},
      {With(ec, "d", "AA"), "is a private key"},
      {With(okp, "d", nullptr), "is a private key"},
      {With(okp, "k", "AA"), "is a private key"},
      // Private, and for another use besides: still a secret that lies in the wrong place.
      {With(With(rsa, "d", "AA"), "use", "enc"), "is a private key"},
      {json(1), "is no JSON object"},
      {json::array(), "is no JSON object"},
      {json::object(), "kty must be a string"},
      {With(rsa, "kty", 1), "kty must be a string"},
      {With(rsa, "kid", 1), "kid must be a string"},
      {With(rsa, "kid", std::string(257, 'k')), "kid must be a string of at most 256 bytes"},
      {With(rsa, "alg", 1), "alg must be a string"},
      {Without(rsa, "n"), "n must be base64url"},
      {Without(rsa, "e"), "e must be base64url"},
      {With(rsa, "n", modulus + "="), "n must be base64url without padding"},
      {With(rsa, "n", "+" + modulus.substr(1)), "n must be base64url"},
      {With(rsa, "n", json::array({modulus})), "n must be base64url"},
      {With(rsa, "n", ""), "has 0 bits"},
      {With(rsa, "n", Base64(std::string(255, '\xFF'))), "has 2040 bits; the least is 2048"},
      {With(rsa, "n", Base64(std::string(10, '\0') + std::string(255, '\xFF'))), "has 2040 bits"},
      {With(rsa, "n", Base64(std::string(513, '\xFF'))), "at most 4096 bits"},
      {With(rsa, "n", Base64(std::string(255, '\xFF') + "\xFE")), "are no RSA key"},  // even
      {With(rsa, "e", Base64("\x01")), "exponent must be odd and over 1"},
      {With(rsa, "e", Base64("\x02")), "exponent must be odd and over 1"},
      {With(rsa, "e", Base64(std::string(1, '\0'))), "exponent must be odd and over 1"},
      {With(rsa, "e", ""), "exponent must be odd and over 1"},
      {With(rsa, "e", Base64(std::string(9, '\x01'))), "exponents at most 64"},
      {Without(ec, "x"), "x must be base64url"},
      {Without(ec, "y"), "y must be base64url"},
      {With(ec, "y", x), "are no point of P-256"},
      {With(With(ec, "x", Base64(std::string(32, '\0'))), "y", Base64(std::string(32, '\0'))), "are no point"},
      {With(With(ec, "x", Base64(std::string(32, '\xFF'))), "y", Base64(std::string(32, '\xFF'))), "are no point"},
      {With(ec, "x", Base64(std::string(31, '\1'))), "must have 32 bytes"},
      {With(ec, "x", Base64(std::string(33, '\1'))), "must have 32 bytes"},
      {Without(okp, "x"), "x must be base64url"},
      {With(okp, "x", Base64(std::string(31, '\1'))), "x of Ed25519 must have 32 bytes"},
      {With(okp, "x", Base64(std::string(33, '\1'))), "x of Ed25519 must have 32 bytes"},
  };
  for (const auto& [jwk, problem] : cases) {
    const auto set = KeySet::Parse(KeySetJson({ec, jwk}));
    EXPECT_THAT(set, IsStatus(kInvalid, problem)) << jwk;
    EXPECT_THAT(set, IsStatus(kInvalid, "key 1")) << jwk;
  }
  EXPECT_THAT(KeySet::Parse(KeySetJson({With(With(rsa, "kid", "k\n1"), "n", "A")})),
              IsStatus(kInvalid, "key 0 (kid \"k\\n1\"): n must be base64url without padding"));
}

TEST(KeySetTest, WeakKeysOfOpenSslAreRefusedAndStrongOnesAccepted) {
  EXPECT_THAT(KeySet::Parse(KeySetJson({JwtSigner("RS256", 1024).PublicJwk()})), IsStatus(kInvalid, "has 1024 bits"));
  EXPECT_THAT(KeySet::Parse(KeySetJson({JwtSigner("RS256", 2047).PublicJwk()})), IsStatus(kInvalid, "has 2047 bits"));
  EXPECT_THAT(KeySet::Parse(KeySetJson({JwtSigner("RS256", 3072).PublicJwk()})), IsOk());
}

TEST(KeySetTest, AKidComesOnce) {
  const json rsa = With(Rsa().PublicJwk(), "kid", "1");
  const json ec = With(P256().PublicJwk(), "kid", "1");
  EXPECT_THAT(KeySet::Parse(KeySetJson({rsa, ec})), IsStatus(kInvalid, "key 1 (kid \"1\"): another key has the same"));
  // One that is left out has no name to take.
  EXPECT_THAT(KeySet::Parse(KeySetJson({With(rsa, "use", "enc"), ec})), IsOk());
}

TEST(KeySetTest, SetsAreStrictAndBounded) {
  for (const std::string text :
       {"", "[]", "null", "{}", R"({"keys":{}})", R"({"keys":null})", R"({"keys":[],"keys":[]})", R"({"keys":[]}x)",
        R"({"keys":[]})"
        "\n{}",
        "{\"keys\":[", R"({"keys":[{"kty":"EC","kty":"EC"}]})"}) {
    EXPECT_THAT(KeySet::Parse(text), IsStatus(kInvalid, "the key set")) << text;
  }
  const auto empty = KeySet::Parse("\n {\"keys\": []}\n");
  ASSERT_THAT(empty, IsOk());
  EXPECT_EQ(empty->size(), 0u);

  std::vector<json> keys;
  for (size_t i = 0; i < KeySet::kKeysMax; ++i) keys.push_back(With(P256().PublicJwk(), "kid", absl::StrCat(i)));
  const auto full = KeySet::Parse(KeySetJson(keys));
  ASSERT_THAT(full, IsOk());
  EXPECT_EQ(full->size(), KeySet::kKeysMax);
  keys.push_back(json{{"kty", "future"}});
  EXPECT_THAT(KeySet::Parse(KeySetJson(keys)), IsStatus(kInvalid, "has 101 keys; at most 100"));
  EXPECT_THAT(KeySet::Parse(R"({"keys":[]})" + std::string(KeySet::kBytesMax, ' ')), IsStatus(kInvalid, "over 262144"));
  EXPECT_THAT(KeySet::Parse(std::string(KeySet::kBytesMax, '[')), IsStatus(kInvalid, "the key set"));
}

}  // namespace
}  // namespace holdfast::service
