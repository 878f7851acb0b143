#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "service/access/jwt.h"
#include "tests/unit/service/jwt_signer.h"
#include "tests/unit/storage/status_matchers.h"

namespace holdfast::service {
namespace {

using nlohmann::json;
using storage::IsOk;
using storage::IsOkAnd;
using storage::IsStatus;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kUnauthenticated = absl::StatusCode::kUnauthenticated;
constexpr int64_t kNow = 1'780'000'000;  // seconds
const absl::Time kNowTime = absl::FromUnixSeconds(kNow);

// The keys of all tests here: making one of RSA takes long.
const JwtSigner& Signer(const std::string& algorithm) {
  static const auto* const signers = new std::map<std::string, JwtSigner>{
      {"RS256", JwtSigner("RS256")}, {"ES256", JwtSigner("ES256")}, {"EdDSA", JwtSigner("EdDSA")}};
  return signers->at(algorithm);
}

json Jwk(const std::string& algorithm) {
  json jwk = Signer(algorithm).PublicJwk();
  jwk["kid"] = "of-" + algorithm;
  return jwk;
}

// The claims of a token that is accepted.
json Claims() { return {{"iss", "https://id.example"}, {"aud", "holdfast"}, {"sub", "shop-web"}, {"exp", kNow + 600}}; }
json Claims(const std::string& name, const json& value) {
  json claims = Claims();
  claims[name] = value;
  return claims;
}
json ClaimsWithout(const std::string& name) {
  json claims = Claims();
  claims.erase(name);
  return claims;
}

JwtVerifier Verifier(const std::string& key_set, JwtOptions options = {"https://id.example", "holdfast"}) {
  absl::StatusOr<JwtVerifier> verifier = JwtVerifier::Create(std::move(options), key_set);
  EXPECT_THAT(verifier, IsOk());
  return *std::move(verifier);
}
JwtVerifier AllKeys() { return Verifier(KeySetJson({Jwk("RS256"), Jwk("ES256"), Jwk("EdDSA")})); }

Identity Of(absl::string_view name, absl::Time expires = kNowTime + absl::Seconds(660)) {
  return {*Principal::Parse(name), expires};
}

class JwtOfEachAlgorithm : public testing::TestWithParam<std::string> {
 protected:
  const JwtSigner& signer() const { return Signer(GetParam()); }
  json Header() const { return {{"alg", GetParam()}, {"kid", "of-" + GetParam()}}; }
  std::string Token() const { return signer().Sign(Claims(), Header()); }
};

INSTANTIATE_TEST_SUITE_P(, JwtOfEachAlgorithm, testing::Values("RS256", "ES256", "EdDSA"),
                         [](const auto& info) { return info.param; });

TEST_P(JwtOfEachAlgorithm, ATokenIsAcceptedWithAndWithoutKid) {
  const JwtVerifier verifier = AllKeys();
  EXPECT_EQ(verifier.key_count(), 3u);
  EXPECT_THAT(verifier.Verify(Token(), kNowTime), IsOkAnd(Of("shop-web")));
  EXPECT_THAT(verifier.Verify(signer().Sign(Claims()), kNowTime), IsOkAnd(Of("shop-web")));
  // The same without the members of the key that are optional.
  EXPECT_THAT(Verifier(KeySetJson({signer().PublicJwk()})).Verify(signer().Sign(Claims()), kNowTime), IsOk());
}

TEST_P(JwtOfEachAlgorithm, EveryFlippedBitIsRefused) {
  const JwtVerifier verifier = AllKeys();
  const std::string token = Token();
  for (size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = token;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      EXPECT_THAT(verifier.Verify(other, kNowTime), IsStatus(kUnauthenticated, "")) << "byte " << i << ", bit " << bit;
    }
  }
}

TEST_P(JwtOfEachAlgorithm, EveryOtherLengthIsRefused) {
  const JwtVerifier verifier = AllKeys();
  const std::string token = Token();
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_THAT(verifier.Verify(token.substr(0, size), kNowTime), IsStatus(kUnauthenticated, "")) << size;
  }
  for (const std::string more : {"A", "=", "==", ".", " ", "\n", ".A", "AAAA"}) {
    EXPECT_THAT(verifier.Verify(token + more, kNowTime), IsStatus(kUnauthenticated, "")) << more;
    EXPECT_THAT(verifier.Verify(more + token, kNowTime), IsStatus(kUnauthenticated, "")) << more;
  }
  EXPECT_THAT(verifier.Verify(token + std::string(1, '\0'), kNowTime), IsStatus(kUnauthenticated, ""));
  // The alphabet of ordinary base64 spells the same bytes, but is none here.
  for (const auto& [from, to] : {std::pair("-", "+"), std::pair("_", "/")}) {
    const std::string other = absl::StrReplaceAll(token, {{from, to}});
    if (other != token) EXPECT_THAT(verifier.Verify(other, kNowTime), IsStatus(kUnauthenticated, ""));
  }
}

TEST_P(JwtOfEachAlgorithm, AnotherKeyOfTheSameKindIsRefused) {
  const JwtSigner other(GetParam());
  const JwtVerifier verifier = AllKeys();
  EXPECT_THAT(verifier.Verify(other.Sign(Claims(), Header()), kNowTime),
              IsStatus(kUnauthenticated, "signature is wrong"));
  EXPECT_THAT(verifier.Verify(other.Sign(Claims()), kNowTime), IsStatus(kUnauthenticated, "signature is wrong"));
}

TEST_P(JwtOfEachAlgorithm, TheHeaderCannotBringAKey) {
  const JwtSigner attacker(GetParam());
  json own_key = attacker.PublicJwk();
  own_key["kid"] = "of-" + GetParam();
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, json>>{{"jwk", own_key},
                                                 {"jku", "http://127.0.0.1:1/keys"},
                                                 {"x5u", "http://127.0.0.1:1/certificate"},
                                                 {"x5c", json::array({JwtSigner::Encode(attacker.PublicDer())})}}) {
    json header = Header();
    header[name] = value;
    EXPECT_THAT(AllKeys().Verify(attacker.Sign(Claims(), header), kNowTime),
                IsStatus(kUnauthenticated, "signature is wrong"));
    // Some issuers set them beside the right signature.
    EXPECT_THAT(AllKeys().Verify(signer().Sign(Claims(), header), kNowTime), IsOk());
  }
}

TEST_P(JwtOfEachAlgorithm, ThePublicKeyIsNoSecretOfHs256) {
  const JwtVerifier verifier = AllKeys();
  const json jwk = signer().PublicJwk();
  for (const std::string& secret : {signer().PublicPem(), signer().PublicDer(), jwk.dump(), jwk.value("n", ""),
                                    jwk.value("x", ""), std::string()}) {
    for (const std::string algorithm : {"HS256", "HS384", "HS512", "hs256"}) {
      for (const json& header : {json{{"alg", algorithm}, {"kid", "of-" + GetParam()}}, json{{"alg", algorithm}}}) {
        EXPECT_THAT(verifier.Verify(JwtSigner::SignHs256(secret, header, Claims()), kNowTime),
                    IsStatus(kUnauthenticated, "alg"));
      }
    }
    // A MAC under the name of the key's algorithm is no signature.
    EXPECT_THAT(verifier.Verify(JwtSigner::SignHs256(secret, Header(), Claims()), kNowTime),
                IsStatus(kUnauthenticated, "signature is wrong"));
  }
}

TEST_P(JwtOfEachAlgorithm, TheAlgorithmIsThatOfTheKey) {
  const JwtVerifier verifier = AllKeys();
  for (const std::string algorithm : {"none", "None", "NONE", "nOnE", "", "RS256", "ES256", "EdDSA", "RS384", "RS512",
                                      "PS256", "ES256K", "ES384", "Ed25519", "rs256", "eddsa", "RS256 "}) {
    if (algorithm == GetParam()) continue;
    for (const json& header : {json{{"alg", algorithm}, {"kid", "of-" + GetParam()}}, json{{"alg", algorithm}}}) {
      const std::string token = signer().Sign(Claims(), header);
      EXPECT_THAT(verifier.Verify(token, kNowTime), IsStatus(kUnauthenticated, "")) << token;
      const std::string unsigned_token = token.substr(0, token.rfind('.') + 1);
      EXPECT_THAT(verifier.Verify(unsigned_token, kNowTime), IsStatus(kUnauthenticated, "")) << token;
    }
  }
  for (const json& value : {json(nullptr), json(1), json::array({GetParam()}), json::object()}) {
    EXPECT_THAT(verifier.Verify(signer().Sign(Claims(), {{"alg", value}}), kNowTime),
                IsStatus(kUnauthenticated, "no alg"));
  }
  EXPECT_THAT(verifier.Verify(signer().SignText("{}", Claims().dump()), kNowTime),
              IsStatus(kUnauthenticated, "no alg"));
}

TEST_P(JwtOfEachAlgorithm, AnEmptySetRefusesAll) {
  EXPECT_THAT(Verifier(R"({"keys":[]})").Verify(Token(), kNowTime), IsStatus(kUnauthenticated, "no key has the kid"));
}

TEST(JwtTest, StrongerDigestsOfTheRightKeyAreRefused) {
  const JwtSigner& signer = Signer("RS256");
  for (const char* const digest : {"SHA1", "SHA384", "SHA512"}) {
    const std::string text = JwtSigner::Encode(R"({"alg":"RS256"})") + "." + JwtSigner::Encode(Claims().dump());
    const std::string token = text + "." + JwtSigner::Encode(signer.SignRaw(text, digest));
    EXPECT_THAT(AllKeys().Verify(token, kNowTime), IsStatus(kUnauthenticated, "signature is wrong"));
  }
}

TEST(JwtTest, SignaturesOfEs256AreTwoNumbersOf32Bytes) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("ES256");
  const std::string text = JwtSigner::Encode(R"({"alg":"ES256"})") + "." + JwtSigner::Encode(Claims().dump());
  const auto verify = [&](absl::string_view signature) {
    return verifier.Verify(text + "." + JwtSigner::Encode(signature), kNowTime);
  };
  const std::string zero(32, '\0');
  const std::string max(32, '\xFF');
  const std::string right = signer.Signature(text);
  // The order of the curve: as a number of a signature it is out of range, as r + order would be.
  const std::string order = absl::HexStringToBytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  EXPECT_THAT(verify(right), IsOk());
  for (const std::string& wrong :
       {signer.SignRaw(text), std::string(), std::string(64, '\0'), zero + right.substr(32), right.substr(0, 32) + zero,
        max + right.substr(32), right.substr(0, 32) + max, max + max, order + right.substr(32),
        right.substr(0, 32) + order, order + order, right.substr(32) + right.substr(0, 32), right.substr(0, 63),
        right + std::string(1, '\0'), std::string(1, '\0') + right, right + right, right.substr(0, 32),
        std::string(31, '\0') + "\x01" + std::string(31, '\0') + "\x01"}) {
    EXPECT_THAT(verify(wrong), IsStatus(kUnauthenticated, "signature is wrong")) << absl::BytesToHexString(wrong);
  }
}

TEST(JwtTest, KidPicksTheKey) {
  const JwtSigner first("ES256"), second("ES256");
  json jwk1 = first.PublicJwk(), jwk2 = second.PublicJwk();
  jwk1["kid"] = "1";
  jwk2["kid"] = "2";
  const JwtVerifier verifier = Verifier(KeySetJson({jwk1, jwk2}));
  EXPECT_THAT(verifier.Verify(first.Sign(Claims(), {{"kid", "1"}}), kNowTime), IsOk());
  EXPECT_THAT(verifier.Verify(second.Sign(Claims(), {{"kid", "2"}}), kNowTime), IsOk());
  EXPECT_THAT(verifier.Verify(first.Sign(Claims(), {{"kid", "2"}}), kNowTime), IsStatus(kUnauthenticated, "signature"));
  EXPECT_THAT(verifier.Verify(first.Sign(Claims(), {{"kid", "3"}}), kNowTime),
              IsStatus(kUnauthenticated, "no key has the kid \"3\""));
  EXPECT_THAT(verifier.Verify(first.Sign(Claims()), kNowTime), IsStatus(kUnauthenticated, "several keys"));
  EXPECT_THAT(verifier.Verify(first.Sign(Claims(), {{"kid", 1}}), kNowTime), IsStatus(kUnauthenticated, "no string"));
  EXPECT_THAT(verifier.Verify(first.Sign(Claims(), {{"kid", nullptr}}), kNowTime),
              IsStatus(kUnauthenticated, "no string"));
  // A key without kid is only for tokens without one.
  const JwtVerifier nameless = Verifier(KeySetJson({first.PublicJwk()}));
  EXPECT_THAT(nameless.Verify(first.Sign(Claims()), kNowTime), IsOk());
  EXPECT_THAT(nameless.Verify(first.Sign(Claims(), {{"kid", ""}}), kNowTime), IsStatus(kUnauthenticated, "no key"));
}

TEST(JwtTest, WhatALogQuotesIsShortAndPrintable) {
  const std::string evil = "a\n\"b\x1b[31m" + std::string(5000, 'x');
  const auto found = AllKeys().Verify(Signer("ES256").Sign(Claims(), {{"kid", evil}}), kNowTime);
  EXPECT_THAT(found, IsStatus(kUnauthenticated, R"(no key has the kid "a\n\"b\x1b[31m)"));
  EXPECT_LT(found.status().message().size(), 200u);
}

TEST(JwtTest, HeadersAreStrict) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("ES256");
  for (const std::string type : {"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims(), {{"typ", type}}), kNowTime), IsOk()) << type;
  }
  for (const json& type : {json("logout+jwt"), json("dpop+jwt"), json("JWE"), json(""), json(1), json(nullptr)}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims(), {{"typ", type}}), kNowTime), IsStatus(kUnauthenticated, "typ"));
  }
  for (const json& names : {json::array({"exp"}), json::array(), json("b64"), json(nullptr)}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims(), {{"crit", names}}), kNowTime),
                IsStatus(kUnauthenticated, "crit"));
  }
  for (const std::string header :
       {"", "[]", "null", "\"alg\"", R"({"alg":"ES256")", R"({"alg":"ES256"}})", R"({'alg':'ES256'})",
        R"({"alg":"ES256",})", R"({"alg":"none","alg":"ES256"})", R"({"alg":"ES256","a":{"b":1,"b":1}})",
        "{\"alg\":\"ES256\",\"a\":\"\xff\"}", R"({"alg":"ES256"} x)", R"({"alg":"ES256","a":1e999})"}) {
    EXPECT_THAT(verifier.Verify(signer.SignText(header, Claims().dump()), kNowTime),
                IsStatus(kUnauthenticated, "header is malformed"))
        << header;
  }
  EXPECT_THAT(verifier.Verify(signer.SignText(std::string("{\"alg\":\"ES256\"}\0", 16), Claims().dump()), kNowTime),
              IsStatus(kUnauthenticated, "header is malformed"));
}

TEST(JwtTest, ClaimsAreStrict) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("EdDSA");
  const std::string good = Claims().dump();
  for (const std::string& claims :
       {std::string(), std::string("[]"), std::string("1"), good + "x", good + good, "[" + good + "]",
        good.substr(0, good.size() - 1) + R"(,"sub":"root"})",
        good.substr(0, good.size() - 1) + R"(,"x":)" + "\"\xff\"}",
        good.substr(0, good.size() - 1) + R"(,"x":)" + std::string(1000, '[') + std::string(1000, ']') + "}"}) {
    EXPECT_THAT(verifier.Verify(signer.SignText(R"({"alg":"EdDSA"})", claims), kNowTime),
                IsStatus(kUnauthenticated, "claims are malformed"))
        << claims;
  }
  // Claims of others, nested ones too, are of no account.
  EXPECT_THAT(verifier.Verify(signer.Sign(Claims("realm_access", {{"roles", {"a", {{"b", 1}}}}})), kNowTime), IsOk());
}

TEST(JwtTest, IssuerAndAudienceMustBeEqual) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("EdDSA");
  for (const json& issuer : {json("https://id.example/"), json("https://ID.example"), json(""), json(nullptr), json(1),
                             json::array({"https://id.example"})}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims("iss", issuer)), kNowTime), IsStatus(kUnauthenticated, "iss"));
  }
  EXPECT_THAT(verifier.Verify(signer.Sign(ClaimsWithout("iss")), kNowTime), IsStatus(kUnauthenticated, "iss"));
  for (const json& audience : {json::array({"holdfast"}), json::array({"other", "holdfast"})}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims("aud", audience)), kNowTime), IsOk()) << audience;
  }
  for (const json& audience :
       {json("Holdfast"), json("holdfast2"), json(""), json(nullptr), json::array(), json::array({"other"}),
        json::array({"holdfast", 1}), json::array({json::array({"holdfast"})}), json{{"holdfast", true}}}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims("aud", audience)), kNowTime), IsStatus(kUnauthenticated, "aud"))
        << audience;
  }
  EXPECT_THAT(verifier.Verify(signer.Sign(ClaimsWithout("aud")), kNowTime), IsStatus(kUnauthenticated, "aud"));
}

TEST(JwtTest, TimesHaveALeewayOfAMinute) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("EdDSA");
  const auto with = [&](const std::string& claim, const json& value) {
    return verifier.Verify(signer.Sign(Claims(claim, value)), kNowTime);
  };
  EXPECT_THAT(with("exp", kNow), IsOkAnd(Of("shop-web", kNowTime + absl::Seconds(60))));
  EXPECT_THAT(with("exp", kNow - 59), IsOkAnd(Of("shop-web", kNowTime + absl::Seconds(1))));
  EXPECT_THAT(with("exp", kNow - 60), IsStatus(kUnauthenticated, "expired"));
  EXPECT_THAT(with("exp", kNow - 59.75), IsOkAnd(Of("shop-web", kNowTime + absl::Seconds(0.25))));
  EXPECT_THAT(with("exp", kNow - 60.25), IsStatus(kUnauthenticated, "expired"));
  EXPECT_THAT(with("nbf", kNow + 60), IsOk());
  EXPECT_THAT(with("nbf", kNow + 60.25), IsStatus(absl::StatusCode::kUnavailable, "not valid yet"));
  EXPECT_THAT(with("nbf", kNow + 61), IsStatus(absl::StatusCode::kUnavailable, "not valid yet"));
  EXPECT_THAT(with("nbf", 0), IsOk());
  EXPECT_THAT(with("exp", -1), IsStatus(kUnauthenticated, "expired"));
  EXPECT_THAT(with("exp", 253'402'300'799), IsOk());
  EXPECT_THAT(verifier.Verify(signer.Sign(ClaimsWithout("exp")), kNowTime), IsStatus(kUnauthenticated, "exp"));
  for (const std::string claim : {"exp", "nbf"}) {
    for (const json& value : {json("1900000000"), json(nullptr), json(true), json::array({1}), json(253'402'300'800),
                              json(1e300), json(-1e300), json(std::numeric_limits<int64_t>::max()),
                              json(std::numeric_limits<int64_t>::min()), json(std::numeric_limits<uint64_t>::max())}) {
      EXPECT_THAT(with(claim, value), IsStatus(kUnauthenticated, claim + " is ")) << claim << " " << value;
    }
  }
  EXPECT_THAT(verifier.Verify(signer.SignText(R"({"alg":"EdDSA"})", R"({"iss":"https://id.example","aud":"holdfast",)"
                                                                    R"("sub":"a","exp":1e999})"),
                              kNowTime),
              IsStatus(kUnauthenticated, "malformed"));
}

TEST(JwtTest, ThePrincipalIsALegalStringOfTheClaim) {
  const JwtSigner& signer = Signer("EdDSA");
  const JwtVerifier verifier = AllKeys();
  for (const json& value :
       {json(""), json("a b"), json("*"), json("a*"), json("a\n"), json("\u00e9"), json(1), json(nullptr),
        json::array({"a"}), json(std::string(201, 'a')), json(std::string("a\0", 2))}) {
    EXPECT_THAT(verifier.Verify(signer.Sign(Claims("sub", value)), kNowTime), IsStatus(kUnauthenticated, "claim sub"));
  }
  EXPECT_THAT(verifier.Verify(signer.Sign(ClaimsWithout("sub")), kNowTime), IsStatus(kUnauthenticated, "claim sub"));
  EXPECT_THAT(verifier.Verify(signer.Sign(Claims("sub", std::string(200, 'a'))), kNowTime), IsOk());

  const JwtVerifier by_client = Verifier(KeySetJson({Jwk("EdDSA")}), {"https://id.example", "holdfast", "client_id"});
  EXPECT_THAT(by_client.Verify(signer.Sign(Claims("client_id", "c1")), kNowTime), IsOkAnd(Of("c1")));
  EXPECT_THAT(by_client.Verify(signer.Sign(Claims()), kNowTime), IsStatus(kUnauthenticated, "claim client_id"));
}

TEST(JwtTest, TokensAreBounded) {
  const JwtVerifier verifier = AllKeys();
  const JwtSigner& signer = Signer("EdDSA");
  size_t padding = 5000;
  std::string token;
  do {
    token = signer.Sign(Claims("padding", std::string(++padding, 'x')));
  } while (token.size() < JwtVerifier::kTokenBytesMax);
  ASSERT_LE(token.size(), JwtVerifier::kTokenBytesMax + 1);  // three bytes are four characters
  while (token.size() > JwtVerifier::kTokenBytesMax)
    token = signer.Sign(Claims("padding", std::string(--padding, 'x')));
  EXPECT_THAT(verifier.Verify(token, kNowTime), IsOk());
  token = signer.Sign(Claims("padding", std::string(padding + 3, 'x')));
  EXPECT_THAT(verifier.Verify(token, kNowTime), IsStatus(kUnauthenticated, "over 8192 bytes"));
  EXPECT_THAT(verifier.Verify(std::string(10 << 20, '.'), kNowTime), IsStatus(kUnauthenticated, "over 8192 bytes"));
}

TEST(JwtTest, NothingStaysInTheErrorQueueOfOpenSsl) {
  // gRPC's TLS would take it for an error of its connection.
  ERR_clear_error();
  const JwtVerifier verifier = AllKeys();
  for (const std::string algorithm : {"RS256", "ES256", "EdDSA"}) {
    std::string token = Signer(algorithm).Sign(Claims());
    token[token.size() - 20] = token[token.size() - 20] == 'A' ? 'B' : 'A';
    EXPECT_THAT(verifier.Verify(token, kNowTime), IsStatus(kUnauthenticated, "signature"));
    EXPECT_EQ(ERR_peek_error(), 0u) << algorithm;
  }
  json jwk = Jwk("ES256");
  jwk["x"] = jwk["y"];
  EXPECT_THAT(KeySet::Parse(KeySetJson({jwk})), Not(IsOk()));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(JwtTest, ManyThreadsVerifyAtOnce) {
  const JwtVerifier verifier = AllKeys();
  std::vector<std::thread> threads;
  std::atomic<int> accepted = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (const std::string algorithm : {"RS256", "ES256", "EdDSA"}) {
        const std::string token = Signer(algorithm).Sign(Claims());
        for (int n = 0; n < 50; ++n) accepted += verifier.Verify(token, kNowTime).ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 4 * 3 * 50);
}

TEST(JwtTest, OptionsMustBeThere) {
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(JwtVerifier::Create({"", "a"}, R"({"keys":[]})"), IsStatus(kInvalid, "issuer is empty"));
  EXPECT_THAT(JwtVerifier::Create({"i", ""}, R"({"keys":[]})"), IsStatus(kInvalid, "audience is empty"));
  EXPECT_THAT(JwtVerifier::Create({"i", "a", ""}, R"({"keys":[]})"), IsStatus(kInvalid, "claim is empty"));
  EXPECT_THAT(JwtVerifier::Create({"i", "a"}, "x"), IsStatus(kInvalid, "key set"));
}

}  // namespace
}  // namespace holdfast::service
