// The server and its clients ping each other. The intervals are those of the documentation, a hundred times shorter.

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/answers/answers.h"
#include "tests/containment/wire_client.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kNothing[] = "\0\0\0\0\0\0\0";  // the eight bytes of a ping

class KeepaliveTest : public AnswersTest {
 protected:
  // Opens a watch over alarms that never come.
  void Watch(WireClient& client) {
    client.Greet();
    client.Send(client.Open("/holdfast.v1.ObjectService/WatchAlarms"), v1::WatchAlarmsRequest());
  }

  // Sends `count` pings, each `apart` after the one before, and answers the server's pings. Returns the server's
  // message when it closed the connection, or "" if it did not close it.
  std::string Ping(WireClient& client, int count, absl::Duration apart) {
    std::string said;
    for (int i = 0; i < count && !client.closed(); ++i) {
      client.SendFrames(WireClient::kPing, absl::string_view(kNothing, 8), 1);
      const absl::Time next = absl::Now() + apart;
      while (!client.closed() && absl::Now() < next) {
        for (const WireClient::Frame& frame : client.Read(next - absl::Now())) {
          if (frame.type == WireClient::kGoAway) said += frame.payload;
          if (frame.type == WireClient::kPing && frame.flags == 0) client.AnswerPing(frame);
        }
      }
    }
    return said;
  }
};

TEST_F(KeepaliveTest, PingsAtThePermittedIntervalKeepAnIdleWatch) {
  Start("server { keepalive_min_interval_ms: 100 }");
  WireClient client(server_->address());
  Watch(client);
  EXPECT_EQ(Ping(client, 10, absl::Milliseconds(150)), "");
  EXPECT_FALSE(client.closed());
}

TEST_F(KeepaliveTest, PingsAtThePermittedIntervalKeepAConnectionWithoutCalls) {
  Start("server { keepalive_min_interval_ms: 100 }");
  WireClient client(server_->address());
  client.Greet();
  EXPECT_EQ(Ping(client, 10, absl::Milliseconds(150)), "");
  EXPECT_FALSE(client.closed());
}

TEST_F(KeepaliveTest, PingsThatComeTooSoonCloseTheConnection) {
  Start("server { keepalive_min_interval_ms: 10000 }");
  WireClient client(server_->address());
  Watch(client);
  EXPECT_THAT(Ping(client, 10, absl::Milliseconds(150)), HasSubstr("too_many_pings"));
  EXPECT_TRUE(client.closed());
}

TEST_F(KeepaliveTest, AConnectionThatAnswersNoPingIsClosed) {
  Start("server { keepalive_interval_ms: 200 keepalive_timeout_ms: 200 }");
  WireClient silent(server_->address());
  Watch(silent);
  EXPECT_TRUE(silent.ReadUntil(WireClient::kPing, absl::Seconds(10)));
  (void)silent.Read(absl::Seconds(10));  // returns when it is closed
  EXPECT_TRUE(silent.closed());
}

TEST_F(KeepaliveTest, AConnectionThatAnswersPingsStays) {
  Start("server { keepalive_interval_ms: 100 keepalive_timeout_ms: 1000 }");
  WireClient client(server_->address());
  Watch(client);
  // There are more pings than the two that gRPC sends without data by default.
  for (int pings = 0; pings < 5;) {
    const auto frames = client.Read(absl::Seconds(10), 1);
    ASSERT_FALSE(frames.empty());
    if (frames[0].type != WireClient::kPing || frames[0].flags != 0) continue;
    client.AnswerPing(frames[0]);
    ++pings;
  }
  EXPECT_FALSE(client.closed());
}

}  // namespace
}  // namespace holdfast::testing
