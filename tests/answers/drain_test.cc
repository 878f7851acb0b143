// Clients of a server that stops hear the result of a call, or DRAINING, and afterwards which calls the server has
// seen. tests/clients/go/drains does the same under load.

#include <gmock/gmock.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/answers/answers.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kIncrement[] = "/holdfast.v1.CounterService/Increment";

class DrainTest : public AnswersTest {
 protected:
  static v1::IncrementRequest Request() {
    v1::IncrementRequest request;
    request.mutable_object()->set_name("counter");
    return request;
  }
  // Waits until the server drains and so refuses a new call.
  void AwaitDrain() {
    while (Increment("another").status.error_code() == grpc::StatusCode::OK) {
    }
  }
  // Reads until the server closes the connection.
  static std::vector<WireClient::Frame> ReadAll(WireClient& client) {
    std::vector<WireClient::Frame> all;
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (!client.closed() && absl::Now() < until) {
      for (WireClient::Frame& frame : client.Read(absl::Milliseconds(20))) all.push_back(std::move(frame));
    }
    EXPECT_TRUE(client.closed());
    return all;
  }
  // Returns the last call that the server says it has seen.
  static uint32_t LastSeen(const std::vector<WireClient::Frame>& frames) {
    uint32_t last = 0;
    for (const WireClient::Frame& frame : frames) {
      if (frame.type != WireClient::kGoAway) continue;
      last = 0;
      for (int i = 0; i < 4; ++i) last = last << 8 | static_cast<uint8_t>(frame.payload[i]);
    }
    return last;
  }
  // Counts the calls that ended without a status. A reset without an error comes after the status.
  static int Resets(const std::vector<WireClient::Frame>& frames) {
    int resets = 0;
    for (const WireClient::Frame& frame : frames) {
      resets += frame.type == WireClient::kReset && frame.payload != std::string(4, '\0');
    }
    return resets;
  }
};

TEST_F(DrainTest, ACallOfWhichAPartHasComeIsToldToo) {
  Start();
  WireClient client(server_->address());
  client.Greet();
  const uint32_t call = client.Open(kIncrement);
  client.Read(absl::Milliseconds(50));
  server_->Signal(SIGTERM);
  AwaitDrain();
  // The server takes no more input from other connections. Without this connection it would have ended.
  client.Read(absl::Milliseconds(300));
  EXPECT_FALSE(client.closed());
  client.Send(call, Request());
  const auto frames = ReadAll(client);
  EXPECT_EQ(Ended(frames), 1) << "with a status";
  EXPECT_EQ(Resets(frames), 0);
  EXPECT_EQ(LastSeen(frames), call);
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(DrainTest, ACallThatComesTooLateIsOneThatWasNotSeen) {
  Start();
  WireClient client(server_->address());
  client.Greet();
  server_->Signal(SIGTERM);
  // New calls come all the time, with a few under way, until the connection is closed.
  uint32_t last = 0;
  std::vector<WireClient::Frame> frames;
  while (!client.closed()) {
    if (static_cast<int>(last + 1) / 2 - Ended(frames) < 50) {
      last = client.Call(kIncrement, Request());
    }
    for (WireClient::Frame& frame : client.Read(absl::Milliseconds(2), 2)) frames.push_back(std::move(frame));
  }
  for (WireClient::Frame& frame : client.Read(absl::Seconds(5))) frames.push_back(std::move(frame));
  EXPECT_EQ(Resets(frames), 0);
  const uint32_t seen = LastSeen(frames);
  EXPECT_GT(seen, 0u);
  EXPECT_LT(seen, last);
  EXPECT_EQ(Ended(frames), static_cast<int>(seen + 1) / 2) << "each call that was seen is answered";
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(DrainTest, AClientThatNeverEndsItsRequestHoldsUpNobodyForLong) {
  Start();
  WireClient client(server_->address());
  client.Greet();
  client.Open(kIncrement);
  client.Read(absl::Milliseconds(50));
  const absl::Time began = absl::Now();
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_LT(absl::Now() - began, absl::Seconds(12));
  EXPECT_THAT(server_->Log(), HasSubstr("connections_not_quiet"));
}

TEST_F(DrainTest, ManyIdleClientsComeToRestTogether) {
  Start();
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 800; ++i) {
    clients.push_back(std::make_unique<WireClient>(server_->address()));
    clients.back()->Greet();
  }
  for (const auto& client : clients) client->Read(absl::Seconds(5), 1);
  EXPECT_EQ(server_->Terminate(), 0);
  EXPECT_THAT(server_->Log(), Not(HasSubstr("connections_not_quiet")));
}

TEST_F(DrainTest, AnIdleClientHoldsUpNothing) {
  Start();
  WireClient client(server_->address());
  client.Greet();
  client.Read(absl::Milliseconds(50));
  EXPECT_EQ(server_->Terminate(), 0);
  const auto frames = ReadAll(client);
  EXPECT_EQ(LastSeen(frames), 0u);
  EXPECT_THAT(server_->Log(), Not(HasSubstr("connections_not_quiet")));
}

}  // namespace
}  // namespace holdfast::testing
