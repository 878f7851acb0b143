// Who a caller is, and how the rules are changed while the server runs.

#include "service/access/access.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "proto/credentials.h"
#include "service/access/access_files.h"
#include "service/access/failed_checks.h"
#include "tests/unit/service/jwt_signer.h"

namespace holdfast::service {
namespace {

using config::v1::Config;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::string LineOf(const std::string& name, const std::string& token, const std::string& expires = "") {
  return absl::StrCat(name, " ", absl::BytesToHexString(TokenHash(token)), " ", expires, "\n");
}

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    Access::Parts parts;
    parts.tokens = *Tokens::Parse(LineOf("web", web_) + LineOf("soon", soon_, "2027-01-15T08:00:01Z"));
    config::v1::AuthorizationConfig rules;
    rules.add_rule()->add_verb(config::v1::AuthorizationRule::VERB_READ);
    rules.mutable_rule(0)->set_principal("web");
    parts.policy = *Policy::Compile(rules);
    access_ = std::make_unique<Access>(std::move(parts), 7);
  }
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(const Credentials& credentials, absl::Time now = kNow) {
    return access_->Identify(credentials, now, &why_);
  }
  void ExpectInvalid(const Credentials& credentials, const std::string& why, absl::Time now = kNow) {
    const auto caller = Identify(credentials, now);
    EXPECT_EQ(caller.status().code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(actors::ReasonOf(caller.status()), v1::ERROR_REASON_CREDENTIALS_INVALID);
    // The client learns nothing of the reason.
    EXPECT_EQ(caller.status().message(), "the credentials of the call are not valid here");
    EXPECT_THAT(why_, HasSubstr(why));
    EXPECT_THAT(why_, Not(HasSubstr("hf_")));
  }

  const std::string web_ = *NewToken();
  const std::string soon_ = *NewToken();
  std::unique_ptr<Access> access_;
  std::string why_;
};

TEST_F(AccessTest, WithoutCredentialsThereIsNoCaller) {
  const auto caller = Identify({});
  EXPECT_EQ(actors::ReasonOf(caller.status()), v1::ERROR_REASON_CREDENTIALS_MISSING);
  EXPECT_EQ(caller.status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(AccessTest, ATokenIsItsPrincipal) {
  const std::string header = "Bearer " + web_;
  for (int i = 0; i < 2; ++i) {
    const auto caller = Identify({.authorization = {header}});
    ASSERT_TRUE(caller.ok()) << caller.status();
    EXPECT_EQ((*caller)->identity.principal.name(), "web");
    EXPECT_EQ((*caller)->generation, 7);
    EXPECT_TRUE((*caller)->rights.OnObject(Verb::kRead, "a", "Counter"));
    EXPECT_FALSE((*caller)->rights.OnObject(Verb::kWrite, "a", "Counter"));
  }
  // The scheme is not case-sensitive, the token is.
  const std::string other_case = "bEARER " + web_;
  EXPECT_TRUE(Identify({.authorization = {other_case}}).ok());
}

TEST_F(AccessTest, ACertificateIsItsPrincipal) {
  const auto caller = Identify({.certificate = "spiffe://example/ops/a"});
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ((*caller)->identity.principal.name(), "spiffe://example/ops/a");
  EXPECT_EQ((*caller)->identity.expires, absl::InfiniteFuture());
  ExpectInvalid({.certificate = "a b"}, "can't be a principal");
}

TEST_F(AccessTest, CredentialsMustAgree) {
  const std::string header = "Bearer " + web_;
  EXPECT_TRUE(Identify({.certificate = "web", .authorization = {header}}).ok());
  ExpectInvalid({.certificate = "other", .authorization = {header}},
                "the certificate is of other and the token of web");
  // A good certificate does not make up for a bad token.
  ExpectInvalid({.certificate = "web", .authorization = {"Bearer " + *NewToken()}}, "");
  ExpectInvalid({.authorization = {header, header}}, "more than one authorization");
}

TEST_F(AccessTest, ATokenThatWasGoodExpires) {
  const std::string header = "Bearer " + soon_;
  const auto caller = Identify({.authorization = {header}});
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ((*caller)->identity.expires, kNow + absl::Seconds(1));
  EXPECT_TRUE(Identify({.authorization = {header}}, kNow + absl::Milliseconds(999)).ok());
  ExpectInvalid({.authorization = {header}}, "", kNow + absl::Seconds(1));
}

TEST_F(AccessTest, OtherAuthorizationsAreNone) {
  for (const std::string& header :
       {std::string("Basic ") + web_, web_, std::string("Bearer"), std::string("Bearer "), "Bearer  " + web_,
        "Bearer " + web_ + " ", std::string("Bearer a.b.c"), std::string("\0", 1)}) {
    ExpectInvalid({.authorization = {header}}, "");
  }
}

TEST_F(AccessTest, CallersThatAreKeptAreBounded) {
  for (size_t i = 0; i < 2 * Access::kCallersMax + 10; ++i) {
    ASSERT_TRUE(Identify({.certificate = absl::StrCat("p", i)}).ok());
  }
}

// Tokens whose signatures are checked, by a clock of the test.
class FailedTokensTest : public ::testing::Test {
 protected:
  FailedTokensTest() {
    nlohmann::json keys = {{"keys", {key_.PublicJwk()}}};
    Access::Parts parts;
    parts.jwt = *JwtVerifier::Create({.issuer = "i", .audience = "a"}, keys.dump());
    parts.failed_checks_per_second_max = 3;
    parts.steady = [this] { return steady_; };
    access_ = std::make_unique<Access>(std::move(parts), 1);
  }
  std::string Token(const JwtSigner& key, const std::string& name, int64_t not_before = 0) {
    return "Bearer " + key.Sign({{"iss", "i"},
                                 {"aud", "a"},
                                 {"sub", name},
                                 {"exp", absl::ToUnixSeconds(kNow) + 300},
                                 {"nbf", not_before}},
                                {{"alg", "ES256"}});
  }
  absl::StatusCode Try(const std::string& header, const std::string& peer = "ipv4:192.0.2.1:1", absl::Time now = kNow) {
    return access_->Identify({.authorization = {header}, .peer = peer}, now, &why_).status().code();
  }

  const JwtSigner key_ = JwtSigner("ES256");
  const JwtSigner other_key_ = JwtSigner("ES256");
  absl::Time steady_ = absl::FromUnixSeconds(100);
  std::unique_ptr<Access> access_;
  std::string why_;
};

constexpr absl::StatusCode kOk = absl::StatusCode::kOk;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kUnauthenticated;
constexpr absl::StatusCode kNotNow = absl::StatusCode::kResourceExhausted;

TEST_F(FailedTokensTest, ChecksThatFailAreBoundedForEachAddressAndSecond) {
  const std::string known = Token(key_, "known");
  EXPECT_EQ(Try(known), kOk);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Try(Token(other_key_, absl::StrCat("forged", i))), kInvalid);
  const std::string fresh = Token(key_, "fresh");
  // Other ports are no other address.
  EXPECT_EQ(Try(fresh, "ipv4:192.0.2.1:2"), kNotNow);
  EXPECT_THAT(why_, HasSubstr("too many tokens from this address"));
  const auto refused = access_->Identify({.authorization = {fresh}, .peer = "ipv4:192.0.2.1:1"}, kNow, &why_);
  EXPECT_EQ(actors::ReasonOf(refused.status()), v1::ERROR_REASON_SERVER_OVERLOADED);
  EXPECT_EQ(Try(known), kOk) << "callers who were identified before go on";
  EXPECT_EQ(Try(fresh, "ipv4:192.0.2.2:1"), kOk) << "another address has a bound of its own";
  steady_ += absl::Seconds(1);
  EXPECT_EQ(Try(Token(key_, "later")), kOk);
}

TEST_F(FailedTokensTest, ATokenThatFailedIsRefusedAgainWithoutACheck) {
  const std::string forged = Token(other_key_, "forged");
  // If these were checked, they would be over the bound.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Try(forged), kInvalid);
  EXPECT_THAT(why_, HasSubstr("the signature is wrong"));
  EXPECT_EQ(Try(Token(key_, "fresh")), kOk);
  // More than are remembered.
  for (size_t i = 0; i < FailedChecks::kFailedMax + 10; ++i) {
    steady_ += absl::Seconds(1);
    EXPECT_EQ(Try(absl::StrCat("Bearer a.", i, ".c")), kInvalid);
  }
}

TEST_F(FailedTokensTest, ATokenThatIsNotValidYetIsGoodLater) {
  const int64_t begin = absl::ToUnixSeconds(kNow) + 100;
  const std::string token = Token(key_, "soon", begin);
  EXPECT_EQ(Try(token), kInvalid);
  EXPECT_EQ(Try(token, "ipv4:192.0.2.1:1", absl::FromUnixSeconds(begin)), kOk);
}

TEST_F(FailedTokensTest, TokensOfTheFileAreNotCounted) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Try("Bearer " + *NewToken()), kInvalid);
  EXPECT_EQ(Try(Token(key_, "fresh")), kOk);
}

TEST(FailedChecksTest, AnAddressIsThatOfOneClient) {
  for (const auto& [peer, address] : {std::pair<std::string, std::string>{"ipv4:192.0.2.1:443", "192.0.2.1"},
                                      {"ipv6:[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::"},
                                      {"ipv6:%5B2001:db8:1:2:3:4:5:6%5D:443", "2001:db8:1:2::"},
                                      {"ipv6:[fe80::1%25eth0]:443", "fe80::"},
                                      {"ipv6:[::ffff:192.0.2.1]:443", "192.0.2.1"},
                                      {"unix:", "unix:"},
                                      {"ipv6:nonsense", "nonsense"},
                                      {"", ""}}) {
    EXPECT_EQ(FailedChecks::AddressOf(peer), address) << peer;
  }
}

TEST(FailedChecksTest, AddressesBeyondTheBoundAreCountedAsOne) {
  FailedChecks checks(2);
  const absl::Time now = absl::FromUnixSeconds(5);
  const auto peer = [](size_t i) {
    return absl::StrCat("ipv4:10.", i / 65536, ".", i / 256 % 256, ".", i % 256, ":1");
  };
  for (size_t i = 0; i < FailedChecks::kAddressesMax; ++i) checks.Count(peer(i), now);
  EXPECT_TRUE(checks.MayCheck(peer(0), now));
  checks.Count(peer(70'000), now);
  checks.Count(peer(70'001), now);
  EXPECT_FALSE(checks.MayCheck(peer(70'002), now));
  EXPECT_TRUE(checks.MayCheck(peer(1), now));
  EXPECT_TRUE(checks.MayCheck(peer(70'002), now + absl::Seconds(1)));
}

class AccessFilesTest : public ::testing::Test {
 protected:
  AccessFilesTest() {
    char path[] = "/tmp/holdfast-access-XXXXXX";
    directory_ = mkdtemp(path);
    Set("rule { principal: 'web' verb: VERB_READ }");
    Write(LineOf("web", token_));
  }
  ~AccessFilesTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& tokens) { std::ofstream(directory_ + "/tokens") << tokens; }
  void Set(const std::string& rules) {
    config_.Clear();
    config_.mutable_authentication()->set_token_file(directory_ + "/tokens");
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(rules, config_.mutable_authorization()));
  }
  void Open() {
    auto files = AccessFiles::Open([this]() -> absl::StatusOr<Config> { return config_; },
                                   [this](const absl::Status& status) {
                                     ++changes_;
                                     last_ = status;
                                   });
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  std::string OpenError() {
    return std::string(
        AccessFiles::Open([this]() -> absl::StatusOr<Config> { return config_; }, nullptr).status().message());
  }
  bool Knows(const std::string& token) {
    std::string why;
    const std::string header = "Bearer " + token;
    return files_->current()->Identify({.authorization = {header}}, kNow, &why).ok();
  }

  const std::string token_ = *NewToken();
  std::string directory_;
  Config config_;
  std::unique_ptr<AccessFiles> files_;
  int changes_ = 0;
  absl::Status last_;
};

TEST_F(AccessFilesTest, AChangedFileIsANewAccess) {
  Open();
  EXPECT_TRUE(Knows(token_));
  const std::shared_ptr<const Access> before = files_->current();
  EXPECT_EQ(files_->generation(), before->generation());
  files_->Reload();
  EXPECT_EQ(files_->current(), before);
  EXPECT_EQ(changes_, 0);

  const std::string other = *NewToken();
  Write(LineOf("web", other));
  files_->Reload();
  EXPECT_EQ(changes_, 1);
  EXPECT_TRUE(last_.ok());
  EXPECT_NE(files_->current(), before);
  EXPECT_NE(files_->generation(), before->generation());
  EXPECT_FALSE(Knows(token_));
  EXPECT_TRUE(Knows(other));
  // A call that has begun goes on by the old one.
  std::string why;
  const std::string header = "Bearer " + token_;
  EXPECT_TRUE(before->Identify({.authorization = {header}}, kNow, &why).ok());
}

TEST_F(AccessFilesTest, WhatIsNotValidChangesNothing) {
  Open();
  const std::shared_ptr<const Access> before = files_->current();
  Write("web nonsense\n");
  files_->Reload();
  files_->Reload();
  EXPECT_EQ(files_->current(), before);
  EXPECT_EQ(changes_, 1);  // it is told once
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authentication.token_file: " + directory_ + "/tokens: line 1"));

  std::filesystem::remove(directory_ + "/tokens");
  files_->Reload();
  EXPECT_EQ(files_->current(), before);
  EXPECT_EQ(changes_, 2);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authentication.token_file: "));

  Write(LineOf("web", token_));
  Set("rule { principal: 'web' }");
  files_->Reload();
  EXPECT_EQ(files_->current(), before);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authorization.rule[0].verb"));

  config_.Clear();
  files_->Reload();
  EXPECT_EQ(files_->current(), before);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("takes a restart"));

  Set("rule { principal: 'web' verb: VERB_WRITE }");
  files_->Reload();
  EXPECT_NE(files_->current(), before);
  EXPECT_TRUE(last_.ok());
  EXPECT_EQ(changes_, 5);
}

TEST_F(AccessFilesTest, AGoodChangeOfOneFileTakesEffectWhileAnotherIsBad) {
  const std::string other = *NewToken();
  Write(LineOf("web", token_) + LineOf("other", other));
  Open();
  const auto may_write = [&] {
    std::string why;
    const std::string header = "Bearer " + other;
    const auto caller = files_->current()->Identify({.authorization = {header}}, kNow, &why);
    return caller.ok() && (*caller)->rights.OnObject(Verb::kWrite, "a", "Counter");
  };
  // The rules are broken; a token is taken back all the same.
  Set("rule { principal: 'other' }");
  Write(LineOf("other", other));
  files_->Reload();
  EXPECT_FALSE(Knows(token_));
  EXPECT_TRUE(Knows(other));
  EXPECT_EQ(changes_, 2);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authorization.rule[0].verb"));
  EXPECT_FALSE(may_write());

  // The tokens are broken; the rules change all the same. What is wrong is told once.
  Write("nonsense\n");
  Set("rule { principal: 'other' verb: VERB_WRITE }");
  files_->Reload();
  files_->Reload();
  EXPECT_TRUE(may_write());
  EXPECT_EQ(changes_, 4);
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authentication.token_file: "));

  // Both are.
  Set("rule { principal: 'other' }");
  files_->Reload();
  EXPECT_TRUE(may_write());
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authorization.rule[0].verb"));
  EXPECT_THAT(std::string(last_.message()), HasSubstr("authentication.token_file: "));

  // A configuration that names another file takes effect with that file or not at all.
  Set("rule { principal: 'web' verb: VERB_WRITE }");
  config_.mutable_authentication()->set_token_file(directory_ + "/elsewhere");
  files_->Reload();
  EXPECT_TRUE(may_write());
  EXPECT_THAT(std::string(last_.message()), HasSubstr("/elsewhere: cannot be read"));
  std::ofstream(directory_ + "/elsewhere") << LineOf("web", token_);
  files_->Reload();
  EXPECT_TRUE(Knows(token_));
  EXPECT_FALSE(Knows(other));
  EXPECT_TRUE(last_.ok());
}

TEST_F(AccessFilesTest, WhatIsNotValidStopsAStart) {
  Write("web nonsense\n");
  EXPECT_THAT(OpenError(), HasSubstr("/tokens: line 1"));
  Write(LineOf("web", token_) + LineOf("web", *NewToken()));
  EXPECT_THAT(OpenError(), HasSubstr("/tokens: line 2"));
  config_.mutable_authentication()->set_token_file(directory_);
  EXPECT_THAT(OpenError(), HasSubstr("authentication.token_file: " + directory_ + ": is no file"));
  config_.mutable_authentication()->set_token_file(directory_ + "/none");
  EXPECT_THAT(OpenError(), HasSubstr("authentication.token_file: " + directory_ + "/none: cannot be read"));
  config_.clear_authentication();
  EXPECT_THAT(OpenError(), HasSubstr("authorization: nobody could call"));
  config_.mutable_authentication();
  EXPECT_THAT(OpenError(), HasSubstr("authentication: nobody could call"));
  config_.mutable_authentication()->mutable_jwt()->set_issuer("https://id.example");
  EXPECT_THAT(OpenError(), HasSubstr("authentication.jwt.audience: is empty"));
  config_.mutable_authentication()->mutable_jwt()->set_audience("holdfast");
  EXPECT_THAT(OpenError(), HasSubstr("authentication.jwt.jwks_file: is empty"));
  config_.mutable_authentication()->mutable_jwt()->set_jwks_file(directory_ + "/keys");
  std::ofstream(directory_ + "/keys") << "{";
  EXPECT_THAT(OpenError(), HasSubstr("authentication.jwt.jwks_file: " + directory_ + "/keys: "));
}

TEST_F(AccessFilesTest, TheThreadEndsAtOnce) {
  Open();
  files_->Start();
  files_.reset();
}

}  // namespace
}  // namespace holdfast::service
