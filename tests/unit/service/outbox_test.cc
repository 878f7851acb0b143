#include "service/call/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/service/tcp_pair.h"

namespace holdfast::service {
namespace {

using ::testing::ElementsAre;

class OutboxTest : public testing::Test {
 protected:
  Connections connections_{10};
  Connections::Connection* const first_ = connections_.Begin("first");
  Connections::Connection* const second_ = connections_.Begin("second");
  Outbox outbox_;
  std::vector<std::string> sent_;
};

TEST_F(OutboxTest, RepliesOfAConnectionKeepTheirOrderAndFollowEachOther) {
  for (int i = 0; i < 3; ++i) {
    outbox_.Add(&connections_, first_, [this, i] { sent_.push_back("first " + std::to_string(i)); });
    outbox_.Add(&connections_, second_, [this, i] { sent_.push_back("second " + std::to_string(i)); });
  }
  EXPECT_THAT(sent_, ElementsAre());
  outbox_.Flush();
  if (sent_.front() == "second 0") std::rotate(sent_.begin(), sent_.begin() + 3, sent_.end());
  EXPECT_THAT(sent_, ElementsAre("first 0", "first 1", "first 2", "second 0", "second 1", "second 2"));
  outbox_.Flush();
  EXPECT_EQ(sent_.size(), 6u);
}

TEST_F(OutboxTest, WhatIsAddedWhileRepliesAreSentWaitsForTheNextFlush) {
  outbox_.Add(&connections_, first_, [this] {
    sent_.push_back("a");
    outbox_.Add(&connections_, first_, [this] { sent_.push_back("b"); });
  });
  outbox_.Flush();
  EXPECT_THAT(sent_, ElementsAre("a"));
  outbox_.Flush();
  EXPECT_THAT(sent_, ElementsAre("a", "b"));
}

// The call of a reply may end while another thread sends the next, and its connection with it.
TEST_F(OutboxTest, AConnectionMayEndWithItsLastReply) {
  for (int i = 0; i < 4; ++i) {
    outbox_.Add(&connections_, connections_.Begin("third"), [this, i] {
      sent_.push_back(std::to_string(i));
      if (i < 3) return;
      Connections::Connection* const third = connections_.Begin("third");
      for (int calls = 0; calls < 5; ++calls) connections_.End(third, 0);
    });
  }
  outbox_.Flush();
  EXPECT_THAT(sent_, ElementsAre("0", "1", "2", "3"));
}

TEST_F(OutboxTest, RepliesThatLeaveTogetherShareAPacket) {
  TcpPair pair;
  ASSERT_EQ(connections_.Add(pair.server(), "tcp"), Connections::Room::kTaken);
  Connections::Connection* const tcp = connections_.Begin("tcp");
  const auto segments = [&] {
    tcp_info info{};
    socklen_t size = sizeof(info);
    EXPECT_EQ(getsockopt(pair.server(), IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_data_segs_out;
  };
  const int on = 1;
  ASSERT_EQ(setsockopt(pair.server(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
  // The system holds bytes back for 200 ms at most, so a thread that has to wait for a processor may find two packets.
  std::optional<uint32_t> sent;
  for (int tries = 0; tries < 20 && sent != 1; ++tries) {
    const uint32_t before = segments();
    for (int i = 0; i < 4; ++i) {
      outbox_.Add(&connections_, tcp, [&] { ASSERT_EQ(send(pair.server(), "reply", 5, 0), 5); });
    }
    outbox_.Flush();
    char bytes[20];
    ASSERT_EQ(recv(pair.client(), bytes, sizeof(bytes), MSG_WAITALL), 20);
    sent = segments() - before;
  }
  EXPECT_EQ(sent, 1u);
  // A single reply is not held back.
  outbox_.Add(&connections_, tcp, [&] { ASSERT_EQ(send(pair.server(), "reply", 5, 0), 5); });
  outbox_.Flush();
  EXPECT_TRUE(TcpPair::Readable(pair.client(), 5'000));
}

}  // namespace
}  // namespace holdfast::service
