// A cut holds bytes back and lets them through when it is healed.

#include "tests/cluster/proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

namespace holdfast::testing {
namespace {

// Bytes that have not come after this time are held back.
constexpr int kNothingMs = 100;
constexpr int kSomethingMs = 10'000;

// A server that sends each line back, for one connection, and a client of it through a proxy.
class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    proxy_.emplace(ntohs(address.sin_port));
    address.sin_port = htons(static_cast<uint16_t>(proxy_->port()));
    client_ = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client_, reinterpret_cast<sockaddr*>(&address), size), 0);
    server_ = accept(listener_, nullptr, nullptr);
  }
  ~ProxyTest() override {
    for (const int fd : {client_, server_, listener_}) close(fd);
  }

  static void Send(int fd, const std::string& bytes) {
    EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Returns what comes next; "" if nothing does in this time or the connection has ended.
  static std::string Get(int fd, int timeout_ms = kSomethingMs) {
    pollfd polled{fd, POLLIN, 0};
    if (poll(&polled, 1, timeout_ms) != 1) return "";
    std::array<char, 100> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    return got > 0 ? std::string(buffer.data(), static_cast<size_t>(got)) : "";
  }

  std::optional<Proxy> proxy_;
  int listener_;
  int client_;
  int server_;
};

TEST_F(ProxyTest, CarriesBothWays) {
  Send(client_, "ping");
  EXPECT_EQ(Get(server_), "ping");
  Send(server_, "pong");
  EXPECT_EQ(Get(client_), "pong");
}

TEST_F(ProxyTest, ACutHoldsWhatComesUntilItIsHealed) {
  proxy_->Set(Proxy::Cut::kBoth);
  Send(client_, "ping");
  Send(server_, "pong");
  EXPECT_EQ(Get(server_, kNothingMs), "");
  EXPECT_EQ(Get(client_, kNothingMs), "");
  proxy_->Set(Proxy::Cut::kNone);
  EXPECT_EQ(Get(server_), "ping");
  EXPECT_EQ(Get(client_), "pong");
}

TEST_F(ProxyTest, ACutOfOneWayLetsTheOtherThrough) {
  proxy_->Set(Proxy::Cut::kBack);
  Send(client_, "ping");
  EXPECT_EQ(Get(server_), "ping");
  Send(server_, "pong");
  EXPECT_EQ(Get(client_, kNothingMs), "");
  proxy_->Set(Proxy::Cut::kForth);
  EXPECT_EQ(Get(client_), "pong");
  Send(client_, "again");
  EXPECT_EQ(Get(server_, kNothingMs), "");
}

TEST_F(ProxyTest, AnEndIsPassedOnUnlessItIsCut) {
  proxy_->Set(Proxy::Cut::kBoth);
  shutdown(client_, SHUT_WR);
  pollfd polled{server_, POLLIN, 0};
  EXPECT_EQ(poll(&polled, 1, kNothingMs), 0);
  proxy_->Set(Proxy::Cut::kNone);
  EXPECT_EQ(poll(&polled, 1, kSomethingMs), 1);
  EXPECT_EQ(Get(server_), "");
}

TEST_F(ProxyTest, AResetEndsBothSides) {
  proxy_->Reset();
  for (const int fd : {client_, server_}) {
    pollfd polled{fd, POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, kSomethingMs), 1);
    EXPECT_EQ(Get(fd), "");
  }
}

}  // namespace
}  // namespace holdfast::testing
