// Both ends of a TCP connection over loopback.

#ifndef HOLDFAST_TESTS_UNIT_SERVICE_TCP_PAIR_H_
#define HOLDFAST_TESTS_UNIT_SERVICE_TCP_PAIR_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace holdfast::service {

class TcpPair {
 public:
  TcpPair() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener, any, size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, any, &size), 0);
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client_, any, size), 0);
    server_ = accept(listener, nullptr, nullptr);
    EXPECT_GE(server_, 0);
    close(listener);
  }
  TcpPair(const TcpPair&) = delete;
  ~TcpPair() {
    close(client_);
    close(server_);
  }
  int server() const { return server_; }
  int client() const { return client_; }
  // Returns whether there is something to read within this time; the end of the stream counts.
  static bool Readable(int socket, int within_ms) {
    pollfd polled{socket, POLLIN, 0};
    return poll(&polled, 1, within_ms) == 1;
  }

 private:
  int client_ = -1;
  int server_ = -1;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_TESTS_UNIT_SERVICE_TCP_PAIR_H_
