#include "service/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// The number of waiting connections that the kernel keeps; it has a bound of its own.
constexpr int kBacklog = 1024;
// The listener's thread does nothing but accept, so it may sleep: new connections wait in the backlog meanwhile, and
// requests on accepted connections do not wait. Stop() waits until the sleep ends.
//
// It sleeps for kPause after an accept that failed because descriptors or memory ran out. The system gives no event
// when there are some again, and poll() would return at once, since the connection still waits to be accepted.
constexpr absl::Duration kPause = absl::Milliseconds(50);
// It sleeps for kRoomStep between two checks whether gRPC has closed connections that were ended to make room, at most
// kRoomTriesMax times for a new connection. gRPC gives no event when it closes a connection.
constexpr absl::Duration kRoomStep = absl::Milliseconds(2);
constexpr int kRoomTriesMax = 500;

absl::Status CannotBind(absl::string_view setting, const std::string& listen, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat(setting, ": cannot bind ", listen, ": ", why));
}

int OpenSocket(const sockaddr* address, socklen_t size, std::string* why) {
  const int socket = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  const int off = 0;
  if (socket >= 0) {
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // Accepted sockets inherit TCP_NODELAY.
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // A socket on [::] accepts IPv4 too.
    if (address->sa_family == AF_INET6) setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(socket, address, size) == 0 && ::listen(socket, kBacklog) == 0) return socket;
  }
  *why = std::generic_category().message(errno);
  if (socket >= 0) close(socket);
  return -1;
}

in_port_t PortOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

// Returns the address as gRPC's ServerContext::peer() spells it: "ipv4:127.0.0.1:1234", "ipv6:%5B::1%5D:1234". An IPv4
// address inside an IPv6 one is spelled as IPv4.
std::string PeerOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(v6.sin6_port));
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  const std::string scope = v6.sin6_scope_id == 0 ? "" : absl::StrCat("%25", v6.sin6_scope_id);
  return absl::StrCat("ipv6:%5B", text, scope, "%5D:", ntohs(v6.sin6_port));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(absl::string_view setting, const std::string& listen) {
  const size_t colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  // Brackets are around an IPv6 address, not part of it.
  const std::string name = absl::StrReplaceAll(host, {{"[", ""}, {"]", ""}});
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port_text = listen.substr(colon + 1);
  if (const int error = getaddrinfo(name.empty() ? nullptr : name.c_str(), port_text.c_str(), &hints, &found);
      error != 0) {
    return CannotBind(setting, listen, gai_strerror(error));
  }
  std::unique_ptr<Listener> listener(new Listener());
  std::string why = "it has no address";
  in_port_t port = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    // All addresses of the name have the port that the first got.
    if (port != 0 && address->ai_family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(address->ai_addr)->sin_port = htons(port);
    } else if (port != 0 && address->ai_family == AF_INET6) {
      reinterpret_cast<sockaddr_in6*>(address->ai_addr)->sin6_port = htons(port);
    }
    const int socket = OpenSocket(address->ai_addr, address->ai_addrlen, &why);
    if (socket < 0) continue;
    listener->sockets_.push_back(socket);
    if (port == 0) port = PortOf(socket);
  }
  freeaddrinfo(found);
  listener->stop_event_ = eventfd(0, EFD_CLOEXEC);
  if (listener->sockets_.empty() || listener->stop_event_ < 0) {
    return CannotBind(setting, listen, absl::StrCat(why, "; is the port in use?"));
  }
  listener->address_ = absl::StrCat(host, ":", port);
  return listener;
}

Listener::~Listener() {
  Stop();
  if (stop_event_ >= 0) close(stop_event_);
}

void Listener::Start(Connections* connections, Accept accept) {
  connections_ = connections;
  accept_ = std::move(accept);
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "listener");
}

void Listener::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    if (write(stop_event_, &one, sizeof(one)) != sizeof(one)) {
      Log(LogLevel::kError, "listener_not_stopped", {{"error", std::generic_category().message(errno)}});
    }
    thread_.join();
  }
  for (const int socket : sockets_) close(socket);
  sockets_.clear();
}

void Listener::Run() {
  std::vector<pollfd> polled;
  polled.reserve(sockets_.size() + 1);
  for (const int socket : sockets_) polled.push_back({socket, POLLIN, 0});
  polled.push_back({stop_event_, POLLIN, 0});
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // a signal
    if (polled.back().revents != 0) return;
    absl::SleepFor(connections_->AcceptPause());
    for (const pollfd& socket : polled) {
      if (socket.revents != 0) AcceptFrom(socket.fd);
    }
  }
}

void Listener::AcceptFrom(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  const int fd = accept4(socket, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      Log(LogLevel::kWarning, "accept_failed", {{"error", std::generic_category().message(errno)}});
      absl::SleepFor(kPause);
    }
    return;
  }
  const std::string peer = PeerOf(address);
  Connections::Room room = connections_->Add(fd, peer);
  for (int tries = 0; room == Connections::Room::kSoon && tries < kRoomTriesMax; ++tries) {
    absl::SleepFor(kRoomStep);
    room = connections_->Add(fd, peer);
  }
  if (room == Connections::Room::kTaken) {
    accept_(fd, peer);
  } else {
    close(fd);
  }
}

}  // namespace holdfast::service
