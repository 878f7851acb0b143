#include "service/call/call_gate.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "actors/wire/errors.h"

namespace holdfast::service {
namespace {

constexpr CallGate::Limits kLimits = {
    .calls_max = 3, .streams_max = 1, .bytes_max = 300'000, .connection_bytes_max = 200'000};
const Method kMethod = {.name = "Service.Method", .verb = Verb::kRead};
const Method kStream = {.name = "Service.Stream", .verb = Verb::kWrite};
constexpr int64_t kCall = CallGate::kCallBytes;

class CallGateTest : public ::testing::Test {
 protected:
  absl::Status Admit(absl::string_view peer, size_t bytes, CallGate::Lease* lease) {
    return gate_.Admit(kMethod, CallGate::Shape::kSingle, peer, bytes, lease);
  }
  absl::Status AdmitStream(CallGate::Lease* lease) {
    return gate_.Admit(kStream, CallGate::Shape::kStream, "a", 0, lease);
  }
  static void ExpectOverloaded(const absl::Status& status, absl::string_view setting) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_SERVER_OVERLOADED);
    EXPECT_TRUE(status.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
    EXPECT_NE(status.message().find(setting), absl::string_view::npos) << status.message();
  }

  Connections connections_{10};
  CallGate gate_{kLimits, &connections_};
};

TEST_F(CallGateTest, CallsAreBounded) {
  CallGate::Lease leases[4];
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Admit("a", 0, &leases[i]).ok());
  ExpectOverloaded(Admit("b", 0, &leases[3]), "server.calls_max");
  // A refused call counts until its error is sent.
  EXPECT_EQ(gate_.calls(), 4);
  for (auto& lease : leases) lease.Release();
  EXPECT_EQ(gate_.calls(), 0);
  EXPECT_EQ(gate_.bytes(), 0);
  EXPECT_EQ(connections_.count(), 0);
}

TEST_F(CallGateTest, BytesOfAConnectionAreBounded) {
  CallGate::Lease first;
  CallGate::Lease second;
  EXPECT_TRUE(Admit("a", 100'000, &first).ok());
  ExpectOverloaded(Admit("a", 100'000, &second), "server.connection_bytes_max");
  second.Release();
  EXPECT_TRUE(Admit("b", 100'000, &second).ok());
  EXPECT_EQ(gate_.bytes(), 200'000 + 2 * kCall);
}

TEST_F(CallGateTest, BytesOfAllAreBounded) {
  CallGate::Lease first;
  CallGate::Lease second;
  EXPECT_TRUE(Admit("a", 150'000, &first).ok());
  ExpectOverloaded(Admit("b", 150'000, &second), "server.call_bytes_max");
  EXPECT_EQ(gate_.bytes(), 150'000 + kCall);
}

TEST_F(CallGateTest, AReplyIsReservedOrRefused) {
  CallGate::Lease lease;
  ASSERT_TRUE(Admit("a", 40'000, &lease).ok());
  EXPECT_TRUE(lease.ReserveReply(100'000).ok());
  EXPECT_TRUE(lease.ReserveReply(120'000).ok());  // replaces the first reservation
  EXPECT_EQ(gate_.bytes(), 160'000 + kCall);
  ExpectOverloaded(lease.ReserveReply(190'000), "server.connection_bytes_max");
  EXPECT_EQ(gate_.bytes(), 160'000 + kCall);
  lease.DropRequest();
  lease.DropRequest();
  EXPECT_EQ(gate_.bytes(), 120'000 + kCall);
  // A reply that cannot be refused is counted even over the bound.
  lease.CountReply(500'000);
  EXPECT_EQ(gate_.bytes(), 500'000 + kCall);
  lease.CountReply(10);
  lease.Release();
  EXPECT_EQ(gate_.bytes(), 0);
}

TEST_F(CallGateTest, ARequestIsCountedAnewWhenItIsParsed) {
  CallGate::Lease lease;
  ASSERT_TRUE(Admit("a", 10'000, &lease).ok());
  EXPECT_TRUE(lease.CountRequest(100'000).ok());
  EXPECT_EQ(gate_.bytes(), 100'000 + kCall);
  ExpectOverloaded(lease.CountRequest(400'000), "server.connection_bytes_max");
  EXPECT_TRUE(lease.CountRequest(5'000).ok());
  EXPECT_EQ(gate_.bytes(), 5'000 + kCall);
}

TEST_F(CallGateTest, StreamsAreBoundedBelowCalls) {
  CallGate::Lease stream;
  CallGate::Lease late;
  CallGate::Lease call;
  EXPECT_TRUE(AdmitStream(&stream).ok());
  ExpectOverloaded(AdmitStream(&late), "server.streams_max");
  EXPECT_TRUE(Admit("a", 0, &call).ok());
  stream.Release();
  late.Release();
  EXPECT_TRUE(AdmitStream(&late).ok());
}

TEST_F(CallGateTest, StreamsWithoutCredentialsHaveAPartOfAll) {
  Connections connections(10);
  CallGate gate({.calls_max = 30, .streams_max = 10, .bytes_max = 1 << 20, .connection_bytes_max = 1 << 20},
                &connections);
  const Method open{.name = "grpc.health.v1.Health.Watch", .verb = Verb::kRead, .open = true};
  const auto admit = [&](const Method& method, CallGate::Lease* lease) {
    return gate.Admit(method, CallGate::Shape::kStream, "a", 0, lease);
  };
  CallGate::Lease leases[4];
  EXPECT_TRUE(admit(open, &leases[0]).ok());
  EXPECT_TRUE(admit(open, &leases[1]).ok());
  ExpectOverloaded(admit(open, &leases[2]), "server.streams_max");
  EXPECT_TRUE(admit(kStream, &leases[3]).ok());
  leases[1].Release();
  leases[2].Release();
  EXPECT_TRUE(admit(open, &leases[2]).ok());
}

TEST_F(CallGateTest, NobodyIsAdmittedWhileTheServerDrains) {
  CallGate::Lease before;
  CallGate::Lease after;
  EXPECT_TRUE(Admit("a", 0, &before).ok());
  gate_.Drain();
  const absl::Status status = Admit("a", 0, &after);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_DRAINING);
  EXPECT_EQ(gate_.calls(), 2);
}

TEST_F(CallGateTest, AMethodForClientsHasOnlyObjectsThatClientsMayWrite) {
  const actors::ObjectClass plain = {.name = "Object", .make = nullptr, .for_clients = true};
  const actors::ObjectClass counter = {.name = "Counter", .make = nullptr};
  const Method put = {.name = "Service.Put", .verb = Verb::kWrite, .for_clients = true};
  CallGate::Lease lease;
  ASSERT_TRUE(Admit("a", 0, &lease).ok());
  EXPECT_FALSE(lease.has_target());
  EXPECT_TRUE(gate_.AdmitTarget(put, Target::Object("shop", "a", &plain), &lease).ok());
  EXPECT_TRUE(lease.has_target());
  EXPECT_TRUE(gate_.AdmitTarget(kMethod, Target::Object("shop", "a", &counter), &lease).ok());
  EXPECT_TRUE(gate_.AdmitTarget(kMethod, Target::Namespace("shop"), &lease).ok());
  EXPECT_TRUE(gate_.AdmitTarget(kMethod, Target::Server(), &lease).ok());
  const absl::Status status = gate_.AdmitTarget(put, Target::Object("shop", "a", &counter), &lease);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(actors::ReasonOf(status), v1::ERROR_REASON_CLASS_READ_ONLY);
}

TEST_F(CallGateTest, WhatIsHeldForAClientCountsLikeItsCalls) {
  CallGate::Lease lease;
  {
    CallGate::Hold hold(&gate_, "a");
    EXPECT_TRUE(hold.Set(150'000).ok());
    ExpectOverloaded(hold.Set(200'001), "server.connection_bytes_max");
    EXPECT_EQ(gate_.bytes(), 150'000);
    ExpectOverloaded(Admit("a", 100'000, &lease), "server.connection_bytes_max");
    lease.Release();
    EXPECT_TRUE(hold.Set(10'000).ok());
    EXPECT_TRUE(Admit("a", 100'000, &lease).ok());
    // A reply that is there can't be refused, but others then are.
    hold.Count(500'000);
    EXPECT_EQ(gate_.bytes(), 600'000 + kCall);
    CallGate::Lease other;
    ExpectOverloaded(Admit("b", 0, &other), "server.call_bytes_max");
    hold.Count(1'000);
    EXPECT_EQ(gate_.bytes(), 101'000 + kCall);
  }
  EXPECT_EQ(gate_.bytes(), 100'000 + kCall);
  lease.Release();
  EXPECT_EQ(gate_.bytes(), 0);
  EXPECT_EQ(connections_.count(), 0);
}

TEST_F(CallGateTest, AConnectionThatOnlyItsCallsMakeKnownTakesNoPlace) {
  CallGate::Lease lease;
  EXPECT_TRUE(Admit("http", 0, &lease).ok());
  EXPECT_EQ(connections_.count(), 0);
  EXPECT_EQ(connections_.Add(/*fd=*/0, "grpc"), Connections::Room::kTaken);
  EXPECT_EQ(connections_.count(), 1);
  lease.Release();
  EXPECT_EQ(connections_.count(), 1);
}

TEST_F(CallGateTest, TheHeadOfACallIsRefusedWhileTheServerDrains) {
  EXPECT_TRUE(gate_.CheckCaller(kMethod, "a", NoCredentials).ok());
  gate_.Drain();
  EXPECT_EQ(actors::ReasonOf(gate_.CheckCaller(kMethod, "a", NoCredentials)), v1::ERROR_REASON_DRAINING);
  EXPECT_EQ(gate_.calls(), 0);
}

}  // namespace
}  // namespace holdfast::service
