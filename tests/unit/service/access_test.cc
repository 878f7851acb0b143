// Who a caller is, and how the rules are changed while the server runs.

#include "service/access/access.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "proto/credentials.h"
#include "service/access/access_files.h"

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
