// The call gate with access control: who calls is found out once, and a stream goes by the rules of each moment.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "actors/wire/errors.h"
#include "service/call/call_gate.h"
#include "tests/simulation/node.h"

namespace holdfast::service {
namespace {

constexpr CallGate::Limits kLimits = {
    .calls_max = 10, .streams_max = 10, .bytes_max = 1'000'000, .connection_bytes_max = 1'000'000};
const Method kGet = {.name = "Service.Get", .verb = Verb::kRead};
const Method kPut = {.name = "Service.Put", .verb = Verb::kWrite};
const Method kRun = {.name = "Service.Run", .verb = Verb::kAdmin};
const Method kHealth = {.name = "Health.Check", .verb = Verb::kRead, .open = true};
const actors::ObjectClass kCounter = {.name = "Counter", .make = nullptr};
const actors::ObjectClass kObject = {.name = "Object", .make = nullptr, .for_clients = true};

class CallGateAccessTest : public ::testing::Test {
 protected:
  void Start(const std::string& config) {
    Set(config);
    auto files = AccessFiles::Open([this]() -> absl::StatusOr<config::v1::Config> { return config_; }, nullptr);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
    gate_.SetAccess(files_.get(), &clock_);
  }
  void Set(const std::string& config) {
    config_.Clear();
    config_.mutable_tls()->set_client_ca_file("clients.crt");
    ASSERT_TRUE(google::protobuf::TextFormat::MergeFromString(config, &config_)) << config;
  }
  // The name in the caller's certificate; "": he has none.
  absl::Status Admit(const Method& method, const std::string& name, CallGate::Lease* lease,
                     CallGate::Shape shape = CallGate::Shape::kSingle) {
    return gate_.Admit(method, shape, "peer", 0, lease, [&] {
      ++asked_;
      return Credentials{.certificate = name};
    });
  }
  absl::Status Target(const Method& method, const service::Target& target, const std::string& name,
                      CallGate::Lease* lease) {
    return gate_.AdmitTarget(method, target, lease, [&] { return Credentials{.certificate = name}; });
  }
  static void ExpectDenied(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_PERMISSION_DENIED);
  }

  simulation::VirtualClock clock_;
  config::v1::Config config_;
  std::unique_ptr<AccessFiles> files_;
  Connections connections_{10};
  CallGate gate_{kLimits, &connections_};
  int asked_ = 0;
};

TEST_F(CallGateAccessTest, WithoutAccessControlNobodyLooksAtCredentials) {
  CallGate::Lease lease;
  EXPECT_TRUE(Admit(kPut, "", &lease).ok());
  EXPECT_TRUE(Target(kPut, Target::Object("a", "b", &kCounter), "", &lease).ok());
  EXPECT_EQ(lease.caller(), nullptr);
  EXPECT_EQ(asked_, 0);
}

TEST_F(CallGateAccessTest, ACallerIsKnownBeforeTheRequestIsParsed) {
  Start("authorization { rule { principal: 'web' verb: VERB_READ } }");
  CallGate::Lease without;
  const absl::Status status = Admit(kGet, "", &without);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_CREDENTIALS_MISSING);
  CallGate::Lease web;
  EXPECT_TRUE(Admit(kGet, "web", &web).ok());
  ASSERT_NE(web.caller(), nullptr);
  EXPECT_EQ(web.caller()->identity.principal.name(), "web");
  EXPECT_TRUE(Target(kGet, Target::Object("a", "b", &kCounter), "web", &web).ok());
  ExpectDenied(Target(kPut, Target::Object("a", "b", &kCounter), "web", &web));
  CallGate::Lease open;
  EXPECT_TRUE(Admit(kHealth, "", &open).ok());
  EXPECT_TRUE(Target(kHealth, Target::Server(), "", &open).ok());
}

TEST_F(CallGateAccessTest, TargetsOfEachKind) {
  Start(
      "authorization { rule { principal: 'web' namespace: 'a' object_class: 'Counter' verb: VERB_READ }\n"
      "rule { principal: 'ops' verb: VERB_ADMIN } rule { principal: 'half' namespace: 'a' verb: VERB_ADMIN } }");
  CallGate::Lease web;
  ASSERT_TRUE(Admit(kGet, "web", &web).ok());
  EXPECT_TRUE(Target(kGet, Target::Server(), "web", &web).ok());
  EXPECT_TRUE(Target(kGet, Target::Items(), "web", &web).ok());
  EXPECT_TRUE(Target(kGet, Target::Namespace("a"), "web", &web).ok());
  ExpectDenied(Target(kGet, Target::Namespace("b"), "web", &web));
  EXPECT_TRUE(Target(kGet, Target::Namespace("a", &kCounter), "web", &web).ok());
  ExpectDenied(Target(kGet, Target::Namespace("a", &kObject), "web", &web));
  EXPECT_TRUE(Target(kGet, Target::Listed("a", "Counter"), "web", &web).ok());
  EXPECT_FALSE(Target(kGet, Target::Listed("a", "Object"), "web", &web).ok());
  EXPECT_FALSE(Target(kGet, Target::Listed("a", ""), "web", &web).ok());
  service::Target reads = Target::Object("a", "b", &kCounter);
  ExpectDenied(Target(kPut, reads, "web", &web));
  reads.reads_only = true;
  EXPECT_TRUE(Target(kPut, reads, "web", &web).ok());

  CallGate::Lease ops;
  ASSERT_TRUE(Admit(kRun, "ops", &ops).ok());
  EXPECT_TRUE(Target(kRun, Target::Server(), "ops", &ops).ok());
  ExpectDenied(Target(kGet, Target::Server(), "ops", &ops));
  CallGate::Lease half;
  ASSERT_TRUE(Admit(kRun, "half", &half).ok());
  ExpectDenied(Target(kRun, Target::Server(), "half", &half));
  EXPECT_TRUE(Target(kRun, Target::Namespace("a"), "half", &half).ok());
}

TEST_F(CallGateAccessTest, ACallGoesByTheRulesOfItsArrival) {
  Start("authorization { rule { principal: 'web' namespace: 'a' verb: VERB_READ } }");
  CallGate::Lease before;
  ASSERT_TRUE(Admit(kGet, "web", &before).ok());
  Set("authorization { rule { principal: 'web' namespace: 'b' verb: VERB_READ } }");
  files_->Reload();
  EXPECT_TRUE(Target(kGet, Target::Object("a", "x", &kCounter), "web", &before).ok());
  ExpectDenied(Target(kGet, Target::Object("b", "x", &kCounter), "web", &before));
  CallGate::Lease after;
  ASSERT_TRUE(Admit(kGet, "web", &after).ok());
  ExpectDenied(Target(kGet, Target::Object("a", "x", &kCounter), "web", &after));
}

TEST_F(CallGateAccessTest, AStreamGoesByTheRulesOfEachMoment) {
  Start("authorization { rule { principal: 'web' namespace: 'a' verb: VERB_READ } }");
  CallGate::Lease items;
  CallGate::Lease watch;
  ASSERT_TRUE(Admit(kGet, "web", &items, CallGate::Shape::kStream).ok());
  ASSERT_TRUE(Target(kGet, Target::Items(), "web", &items).ok());
  ASSERT_TRUE(Target(kGet, Target::Object("a", "x", &kCounter), "web", &items).ok());
  ASSERT_TRUE(Admit(kGet, "web", &watch, CallGate::Shape::kStream).ok());
  ASSERT_TRUE(Target(kGet, Target::Namespace("a"), "web", &watch).ok());
  const auto recheck = [&](CallGate::Lease* lease, const std::string& name) {
    return gate_.Recheck(kGet, lease, [&] { return Credentials{.certificate = name}; });
  };
  EXPECT_TRUE(recheck(&watch, "web").ok());
  Set("authorization { rule { principal: 'web' namespace: 'b' verb: VERB_READ } }");
  files_->Reload();
  ExpectDenied(Target(kGet, Target::Object("a", "x", &kCounter), "web", &items));
  EXPECT_TRUE(Target(kGet, Target::Object("b", "x", &kCounter), "web", &items).ok());
  EXPECT_TRUE(recheck(&items, "web").ok());
  ExpectDenied(recheck(&watch, "web"));
}

TEST_F(CallGateAccessTest, QuotasNeedNoCredentials) {
  Start("namespace { name: 'a' requests_per_second: 1 burst: 2 }");
  CallGate::Lease lease;
  ASSERT_TRUE(Admit(kPut, "", &lease).ok());
  EXPECT_TRUE(Target(kPut, Target::Object("a", "x", &kCounter), "", &lease).ok());
  EXPECT_TRUE(Target(kPut, Target::Namespace("a"), "", &lease).ok());
  const absl::Status status = Target(kPut, Target::Object("a", "x", &kCounter), "", &lease);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_NAMESPACE_QUOTA);
  EXPECT_TRUE(Target(kPut, Target::Object("b", "x", &kCounter), "", &lease).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Target(kPut, Target::Object("a", "x", &kCounter), "", &lease).ok());
}

TEST_F(CallGateAccessTest, QuotasAreThisNodesShare) {
  Start("namespace { name: 'a' requests_per_second: 8 }");
  const auto admitted = [&] {
    CallGate::Lease lease;
    EXPECT_TRUE(Admit(kPut, "", &lease).ok());
    int count = 0;
    while (count < 100 && Target(kPut, Target::Object("a", "x", &kCounter), "", &lease).ok()) ++count;
    return count;
  };
  gate_.SetQuotaShare(0.25);
  EXPECT_EQ(admitted(), 2);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(admitted(), 2);
  clock_.Advance(absl::Seconds(1));
  gate_.SetQuotaShare(1);
  EXPECT_EQ(admitted(), 8);
}

}  // namespace
}  // namespace holdfast::service
