// A port for a program that cannot choose one by itself.

#ifndef HOLDFAST_TESTS_SHARED_FREE_PORT_H_
#define HOLDFAST_TESTS_SHARED_FREE_PORT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace holdfast::process {

// Returns a loopback port on which nobody listens. Another program may take it before the one that it is meant for.
inline int FreePort() {
  // Below the ports that the kernel gives to outgoing connections (ip_local_port_range), which would take the port of a
  // server that is started again.
  constexpr int kFirst = 10'000;
  constexpr int kCount = 22'000;
  constexpr int kTriesMax = 100;
  std::random_device random;
  for (int i = 0; i < kTriesMax; ++i) {
    const int port = kFirst + static_cast<int>(random() % kCount);
    const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    close(socket_fd);
    if (free) return port;
  }
  std::fprintf(stderr, "no free port in %d tries\n", kTriesMax);
  std::exit(1);
}

}  // namespace holdfast::process

#endif  // HOLDFAST_TESTS_SHARED_FREE_PORT_H_
