// A port for a program that cannot choose one by itself.

#ifndef HOLDFAST_TESTS_SHARED_FREE_PORT_H_
#define HOLDFAST_TESTS_SHARED_FREE_PORT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace holdfast::process {

// Returns a loopback port on which nobody listens. Another program may take it before the one that it is meant for.
inline int FreePort() {
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(socket_fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("a free port");
    std::exit(1);
  }
  close(socket_fd);
  return ntohs(address.sin_port);
}

}  // namespace holdfast::process

#endif  // HOLDFAST_TESTS_SHARED_FREE_PORT_H_
