#include "service/call/connections.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/service/tcp_pair.h"

namespace holdfast::service {
namespace {

using Room = Connections::Room;

// Both ends of a connection; the server's end is closed by Close or by the destructor.
class Pair {
 public:
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0); }
  Pair(const Pair&) = delete;
  ~Pair() {
    Close();
    close(ends_[1]);
  }
  int fd() const { return ends_[0]; }
  void Close() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }
  // Returns whether the server has ended the connection.
  bool ended() const {
    char byte;
    return recv(ends_[1], &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  int ends_[2] = {-1, -1};
};

// A listener with room for two connections, which has both, and a third connection that has yet to come.
struct FullListener {
  FullListener() {
    EXPECT_EQ(connections.Add(first.fd(), "first"), Room::kTaken);
    EXPECT_EQ(connections.Add(second.fd(), "second"), Room::kTaken);
  }

  Connections connections{2};
  Pair first;
  Pair second;
  Pair third;
};

TEST(Connections, TheLongestIdleMakesRoom) {
  FullListener full;
  auto& [connections, first, second, third] = full;
  connections.End(connections.Begin("first"), 0);
  EXPECT_EQ(connections.Add(third.fd(), "third"), Room::kTaken);
  EXPECT_FALSE(first.ended());
  EXPECT_TRUE(second.ended());
  EXPECT_EQ(connections.count(), 2);
}

TEST(Connections, OneWithACallIsNeverEnded) {
  FullListener full;
  auto& [connections, first, second, third] = full;
  auto* const on_first = connections.Begin("first");
  auto* const on_second = connections.Begin("second");
  EXPECT_EQ(connections.Add(third.fd(), "third"), Room::kNone);
  connections.End(on_first, 0);
  EXPECT_EQ(connections.Add(third.fd(), "third"), Room::kTaken);
  EXPECT_TRUE(first.ended());
  EXPECT_FALSE(second.ended());
  connections.End(on_second, 0);
}

TEST(Connections, ACallThatDoesNotKeepItsConnectionLosesItToANewOne) {
  FullListener full;
  auto& [connections, first, second, third] = full;
  auto* const on_first = connections.Begin("first", /*keeps=*/false);
  auto* const on_second = connections.Begin("second");
  EXPECT_EQ(connections.Add(third.fd(), "third"), Room::kTaken);
  EXPECT_TRUE(first.ended());
  EXPECT_FALSE(second.ended());
  EXPECT_EQ(connections.count(), 2);
  auto* const on_third = connections.Begin("third");
  const Pair fourth;
  EXPECT_EQ(connections.Add(fourth.fd(), "fourth"), Room::kNone);
  // The call outlives its connection.
  EXPECT_TRUE(connections.AddBytes(on_first, 10, 100));
  connections.End(on_first, 10, /*keeps=*/false);
  EXPECT_EQ(connections.count(), 2);
  connections.End(on_second, 0);
  EXPECT_EQ(connections.Add(fourth.fd(), "fourth"), Room::kTaken);
  EXPECT_TRUE(second.ended());
  connections.End(on_third, 0);
}

TEST(Connections, ClosedOnesAreForgottenWhenThereIsNoRoom) {
  FullListener full;
  auto& [connections, first, second, third] = full;
  first.Close();
  EXPECT_EQ(connections.Add(third.fd(), "third"), Room::kTaken);
  EXPECT_FALSE(second.ended());
}

TEST(Connections, ThoseThatAreBeingClosedAreBoundedToo) {
  Connections connections(1);
  std::vector<std::unique_ptr<Pair>> pairs;
  for (size_t i = 0; i <= Connections::kClosingMax; ++i) {
    pairs.push_back(std::make_unique<Pair>());
    EXPECT_EQ(connections.Add(pairs.back()->fd(), absl::StrCat(i)), Room::kTaken) << i;
  }
  Pair late;
  EXPECT_EQ(connections.Add(late.fd(), "late"), Room::kSoon);
  pairs[0]->Close();
  EXPECT_EQ(connections.Add(late.fd(), "late"), Room::kTaken);
}

TEST(Connections, ADescriptorThatIsAnotherSocketNowIsLeftAlone) {
  Connections connections(1);
  Pair first;
  const int fd = first.fd();
  EXPECT_EQ(connections.Add(fd, "first"), Room::kTaken);
  Pair other;
  // The other connection now has the descriptor number of the first.
  ASSERT_EQ(dup3(other.fd(), fd, O_CLOEXEC), fd);
  Pair next;
  EXPECT_EQ(connections.Add(next.fd(), "next"), Room::kTaken);
  EXPECT_FALSE(other.ended());
}

TEST(Connections, BytesAreBoundedForEach) {
  Connections connections(2);
  auto* const a = connections.Begin("a");
  auto* const b = connections.Begin("b");
  EXPECT_TRUE(connections.AddBytes(a, 60, 100));
  EXPECT_FALSE(connections.AddBytes(a, 41, 100));
  EXPECT_TRUE(connections.AddBytes(b, 100, 100));
  connections.RemoveBytes(a, 20);
  EXPECT_TRUE(connections.AddBytes(a, 41, 100));
  connections.End(a, 81);
  connections.End(b, 100);
  // The listener has reported neither connection, so that neither is kept.
  EXPECT_EQ(connections.count(), 0);
}

// --- The sockets during a drain

TEST(Connections, InputThatIsHeldComesOnceItIsReleased) {
  TcpPair pair;
  Connections connections(2);
  ASSERT_EQ(connections.Add(pair.server(), "peer"), Room::kTaken);
  ASSERT_EQ(send(pair.client(), "before", 6, 0), 6);
  EXPECT_TRUE(TcpPair::Readable(pair.server(), 5'000));
  EXPECT_TRUE(connections.HasUnread("peer"));
  ASSERT_TRUE(connections.HoldInput("peer"));
  ASSERT_EQ(send(pair.client(), "after", 5, 0), 5);
  char bytes[20];
  EXPECT_EQ(recv(pair.server(), bytes, sizeof(bytes), 0), 6) << "what had come stays";
  EXPECT_FALSE(TcpPair::Readable(pair.server(), 50));
  EXPECT_FALSE(connections.HasUnread("peer"));
  // The other direction still works.
  ASSERT_EQ(send(pair.server(), "reply", 5, 0), 5);
  EXPECT_TRUE(TcpPair::Readable(pair.client(), 5'000));
  connections.ReleaseInput("peer");
  EXPECT_TRUE(TcpPair::Readable(pair.server(), 10'000));
  EXPECT_EQ(recv(pair.server(), bytes, sizeof(bytes), 0), 5);
}

TEST(Connections, TheEndOfAConnectionIsNotHeld) {
  TcpPair pair;
  Connections connections(2);
  ASSERT_EQ(connections.Add(pair.server(), "peer"), Room::kTaken);
  ASSERT_TRUE(connections.HoldInput("peer"));
  shutdown(pair.client(), SHUT_WR);
  EXPECT_TRUE(TcpPair::Readable(pair.server(), 10'000));
}

TEST(Connections, OnlyThoseWhoseSocketsAreOpenAreListed) {
  FullListener full;
  EXPECT_THAT(full.connections.AllOpen(), ::testing::UnorderedElementsAre("first", "second"));
  full.first.Close();
  EXPECT_THAT(full.connections.AllOpen(), ::testing::ElementsAre("second"));
  EXPECT_FALSE(full.connections.HoldInput("first"));
  EXPECT_FALSE(full.connections.HoldInput("nobody"));
  EXPECT_FALSE(full.connections.HasUnread("first"));
}

}  // namespace
}  // namespace holdfast::service
