#include "tests/cluster/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace holdfast::testing {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The places before it in what is polled are those of the eventfd and the listener.
constexpr size_t kFirstLink = 2;

void SendAtOnce(int socket_fd) {
  const int on = 1;
  setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

Proxy::Proxy(int target_port) : target_port_(target_port) { Listen(); }

Proxy::Proxy(std::string target_path) : target_path_(std::move(target_path)) { Listen(); }

Proxy::~Proxy() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  for (const Link& link : links_) Close(link, /*reset=*/false);
  close(listener_);
  close(wake_);
}

void Proxy::Listen() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, SOMAXCONN) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("a proxy");
    std::exit(1);
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Work(); });
}

void Proxy::Set(Cut cut) {
  {
    std::lock_guard lock(mutex_);
    cut_ = cut;
  }
  eventfd_write(wake_, 1);
}

void Proxy::Reset() {
  {
    std::lock_guard lock(mutex_);
    reset_ = true;
  }
  eventfd_write(wake_, 1);
}

// Returns a socket whose connection is made or under way; -1 where nobody listens.
int Proxy::Connect() const {
  const bool is_path = !target_path_.empty();
  const int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int result;
  if (is_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, target_path_.c_str(), sizeof(address.sun_path) - 1);
    result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  } else {
    const sockaddr_in address = Loopback(target_port_);
    result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    SendAtOnce(fd);
  }
  if (result == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

void Proxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  SendAtOnce(client);
  const int target = Connect();
  const Link link = {{client, target, {}}, {target, client, {}}};
  if (target < 0) return Close(link, /*reset=*/true);
  links_.push_back(link);
}

void Proxy::Close(const Link& link, bool reset) {
  for (const int fd : {link.forth.from, link.forth.to}) {
    const linger now{1, 0};
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
  }
}

bool Proxy::Move(Pipe* pipe, int16_t from_events, int16_t to_events) {
  if ((from_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !pipe->ended && pipe->bytes.size() < kPipeBytesMax) {
    std::array<char, 64 << 10> buffer;
    const ssize_t got = read(pipe->from, buffer.data(), buffer.size());
    if (got > 0) pipe->bytes.append(buffer.data(), static_cast<size_t>(got));
    if (got == 0) pipe->ended = true;
    if (got < 0 && errno != EAGAIN) return false;
    to_events |= POLLOUT;  // try at once
  }
  if ((to_events & (POLLOUT | POLLERR)) != 0 && !pipe->bytes.empty()) {
    const ssize_t sent = send(pipe->to, pipe->bytes.data(), pipe->bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) pipe->bytes.erase(0, static_cast<size_t>(sent));
    if (sent < 0 && errno != EAGAIN) return false;
  }
  if (pipe->ended && pipe->bytes.empty() && !std::exchange(pipe->closed, true)) shutdown(pipe->to, SHUT_WR);
  return true;
}

void Proxy::MoveAll(const std::vector<pollfd>& polled) {
  size_t at = kFirstLink;
  for (Link& link : links_) {
    const int16_t client = polled[at++].revents;
    const int16_t target = polled[at++].revents;
    if (Passes(Cut::kForth) && !Move(&link.forth, client, target)) link.broken = true;
    if (Passes(Cut::kBack) && !Move(&link.back, target, client)) link.broken = true;
  }
  links_.remove_if([](const Link& link) {
    const bool done = link.broken || (link.forth.closed && link.back.closed);
    if (done) Close(link, link.broken);
    return done;
  });
}

std::vector<pollfd> Proxy::ToPoll() const {
  std::vector<pollfd> polled = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
  // An end that has nothing to wait for is left out, since poll would tell of its hang-up again and again.
  const auto add = [&polled](const Pipe& reads, bool may_read, const Pipe& writes, bool may_write) {
    int16_t events = 0;
    if (may_read && !reads.ended && reads.bytes.size() < kPipeBytesMax) events |= POLLIN;
    if (may_write && !writes.bytes.empty()) events |= POLLOUT;
    polled.push_back({events == 0 ? -1 : reads.from, events, 0});
  };
  for (const Link& link : links_) {
    add(link.forth, Passes(Cut::kForth), link.back, Passes(Cut::kBack));
    add(link.back, Passes(Cut::kBack), link.forth, Passes(Cut::kForth));
  }
  return polled;
}

void Proxy::Work() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    std::vector<pollfd> polled = ToPoll();
    lock.unlock();
    poll(polled.data(), polled.size(), -1);
    // Bytes that were sent after Set has returned are carried as Set says, so the lock is held over the moves.
    lock.lock();
    if (polled[0].revents != 0) {
      eventfd_t ignored;
      eventfd_read(wake_, &ignored);
    }
    if (std::exchange(reset_, false)) {
      for (const Link& link : links_) Close(link, /*reset=*/true);
      links_.clear();
      continue;
    }
    MoveAll(polled);
    if (polled[1].revents != 0) Accept();
  }
}

}  // namespace holdfast::testing
