#include "service/call/connections.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/time/clock.h"
#include "actors/executor/clock.h"

namespace holdfast::service {
namespace {

// Returns the inode of the socket that `fd` is now; 0 if it is not a socket.
ino_t InodeOf(int fd) {
  struct stat stat;
  return fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode) ? stat.st_ino : 0;
}

}  // namespace

// A copy of a connection's descriptor. gRPC may close the descriptor, and the system give its number away, at any
// moment. A copy can't change, so it is checked before anything is done to it.
class Connections::SocketCopy {
 public:
  SocketCopy(int fd, ino_t inode)
      : copy_(fcntl(fd, F_DUPFD_CLOEXEC, 0)), same_(copy_ >= 0 && InodeOf(copy_) == inode) {}
  SocketCopy(const SocketCopy&) = delete;
  ~SocketCopy() {
    if (copy_ >= 0) close(copy_);
  }
  void ShutDown() {
    if (same_) shutdown(copy_, SHUT_RDWR);
  }
  // The close of the socket resets the connection. Otherwise a client whose bytes find no room would go on to ask for
  // room, which takes the system minutes to end.
  void ResetOnClose() {
    const linger none{.l_onoff = 1, .l_linger = 0};
    if (same_) setsockopt(copy_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  }
  // Throws away the received bytes, which gRPC would otherwise go on to read.
  void ThrowAwayReceived() {
    constexpr size_t kAtOnce = 64 << 20;
    if (same_) (void)recv(copy_, nullptr, kAtOnce, MSG_TRUNC | MSG_DONTWAIT);
  }
  // Drops segments with bytes, as if they were lost on the way. A segment without bytes, which is an acknowledgement or
  // the end of the connection, passes.
  bool HoldInput() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12),        // the length of the TCP header in words, times 16
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),     //
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),        // in bytes
        BPF_STMT(BPF_MISC | BPF_TAX, 0),               //
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),         // of the header and what follows
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),  //
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),         // passes
        BPF_STMT(BPF_RET | BPF_K, 0),                  // is dropped
    };
    const sock_fprog filter{std::size(program), program};
    return same_ && setsockopt(copy_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
  }
  void ReleaseInput() {
    const int unused = 0;
    if (same_) setsockopt(copy_, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
  }
  void Cork(bool cork) {
    const int on = cork ? 1 : 0;
    if (same_) setsockopt(copy_, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
  }
  bool HasUnread() const {
    int bytes = 0;
    return same_ && ioctl(copy_, FIONREAD, &bytes) == 0 && bytes > 0;
  }
  uint64_t BytesRead() const {
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (!same_ || getsockopt(copy_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    int unread = 0;
    if (ioctl(copy_, FIONREAD, &unread) != 0) return 0;
    return info.tcpi_bytes_received - std::min<uint64_t>(info.tcpi_bytes_received, static_cast<uint64_t>(unread));
  }

 private:
  const int copy_;
  const bool same_;
};

Connections::Corked::Corked(const Connections& connections, const Connection& connection) {
  int fd;
  ino_t inode;
  {
    MutexLock lock(&connections.mutex_);
    fd = connection.fd_;
    inode = connection.inode_;
  }
  if (fd < 0) return;
  socket_ = std::make_unique<SocketCopy>(fd, inode);
  socket_->Cork(true);
}

Connections::Corked::~Corked() {
  if (socket_ != nullptr) socket_->Cork(false);
}

Connections::Room Connections::Add(int fd, absl::string_view peer) {
  bool full;
  {
    MutexLock lock(&mutex_);
    full = CountLocked() >= connections_max_;
  }
  if (full) {
    ForgetClosed();
    if (count() >= connections_max_) {
      if (const Room room = EndLongestIdle(); room != Room::kTaken) return room;
    }
  }
  MutexLock lock(&mutex_);
  auto& connection = table_[peer];
  // If the peer is known, its earlier connection is closed, though calls on it may still be ending.
  if (connection == nullptr) {
    connection = std::make_unique<Connection>();
    connection->peer_ = std::string(peer);
  } else if (connection->fd_ < 0) {
    --not_added_;
  }
  connection->fd_ = fd;
  connection->inode_ = InodeOf(fd);
  connection->last_used_ = ++uses_;
  return Room::kTaken;
}

void Connections::ForgetClosed() {
  std::vector<Socket> sockets;
  {
    MutexLock lock(&mutex_);
    for (const auto& [peer, connection] : table_) {
      if (connection->calls_ == 0) sockets.push_back({peer, connection->fd_, connection->inode_});
    }
    sockets.insert(sockets.end(), closing_.begin(), closing_.end());
  }
  std::erase_if(sockets, [](const Socket& socket) { return InodeOf(socket.fd) == socket.inode; });
  MutexLock lock(&mutex_);
  for (const Socket& socket : sockets) {
    auto it = table_.find(socket.peer);
    if (it != table_.end() && it->second->calls_ == 0 && it->second->inode_ == socket.inode) table_.erase(it);
    std::erase_if(closing_, [&](const Socket& closing) { return closing.inode == socket.inode; });
  }
}

Connections::Room Connections::EndLongestIdle() {
  MutexLock lock(&mutex_);
  if (closing_.size() >= kClosingMax) return Room::kSoon;
  auto longest = table_.end();
  for (auto it = table_.begin(); it != table_.end(); ++it) {
    if (it->second->keeping_ > 0 || (it->second->calls_ > 0 && it->second->fd_ < 0)) continue;
    if (longest == table_.end() || it->second->last_used_ < longest->second->last_used_) longest = it;
  }
  if (longest == table_.end()) return Room::kNone;
  Connection& connection = *longest->second;
  SocketCopy(connection.fd_, connection.inode_).ShutDown();
  closing_.push_back({connection.peer_, connection.fd_, connection.inode_});
  if (connection.calls_ == 0) {
    table_.erase(longest);
  } else {
    // From now on only its calls know it.
    connection.fd_ = -1;
    ++not_added_;
  }
  return Room::kTaken;
}

Connections::Connection* Connections::Begin(absl::string_view peer, bool keeps) {
  MutexLock lock(&mutex_);
  auto& connection = table_[peer];
  if (connection == nullptr) {
    connection = std::make_unique<Connection>();
    connection->peer_ = std::string(peer);
    ++not_added_;
  }
  ++connection->calls_;
  if (keeps) ++connection->keeping_;
  connection->last_used_ = ++uses_;
  return connection.get();
}

void Connections::End(Connection* connection, int64_t bytes, bool keeps) {
  MutexLock lock(&mutex_);
  if (keeps) --connection->keeping_;
  connection->bytes_ -= bytes;
  connection->last_used_ = ++uses_;
  if (--connection->calls_ > 0 || connection->fd_ >= 0) return;
  // The listener does not know this connection, so nothing else would forget it.
  const std::string peer = connection->peer_;
  table_.erase(peer);
  --not_added_;
}

bool Connections::AddBytes(Connection* connection, int64_t bytes, int64_t bytes_max) {
  MutexLock lock(&mutex_);
  if (connection->bytes_ + bytes > bytes_max) return false;
  connection->bytes_ += bytes;
  return true;
}

void Connections::RemoveBytes(Connection* connection, int64_t bytes) {
  MutexLock lock(&mutex_);
  connection->bytes_ -= bytes;
}

std::vector<Connections::Read> Connections::AllRead() const {
  std::vector<Socket> sockets;
  {
    MutexLock lock(&mutex_);
    for (const auto& [peer, connection] : table_) sockets.push_back({peer, connection->fd_, connection->inode_});
  }
  std::vector<Read> all;
  all.reserve(sockets.size());
  for (const Socket& socket : sockets) {
    all.push_back({socket.peer, SocketCopy(socket.fd, socket.inode).BytesRead()});
  }
  return all;
}

void Connections::EndFlood(const std::string& peer) {
  MutexLock lock(&mutex_);
  accept_after_ = actors::SteadyNow() + kPauseAfterFlood;
  auto it = table_.find(peer);
  if (it == table_.end()) return;
  SocketCopy socket(it->second->fd_, it->second->inode_);
  socket.ResetOnClose();
  socket.ShutDown();
  socket.ThrowAwayReceived();
}

absl::Duration Connections::AcceptPause() const {
  MutexLock lock(&mutex_);
  return std::clamp(accept_after_ - actors::SteadyNow(), absl::ZeroDuration(), kPauseAfterFlood);
}

std::vector<std::string> Connections::AllOpen() const {
  std::vector<Socket> sockets;
  {
    MutexLock lock(&mutex_);
    for (const auto& [peer, connection] : table_) sockets.push_back({peer, connection->fd_, connection->inode_});
  }
  std::vector<std::string> open;
  for (const Socket& socket : sockets) {
    if (socket.fd >= 0 && InodeOf(socket.fd) == socket.inode) open.push_back(socket.peer);
  }
  return open;
}

Connections::Socket Connections::SocketOf(const std::string& peer) const {
  MutexLock lock(&mutex_);
  const auto it = table_.find(peer);
  return it == table_.end() ? Socket{peer, -1, 0} : Socket{peer, it->second->fd_, it->second->inode_};
}

bool Connections::HoldInput(const std::string& peer) {
  const Socket socket = SocketOf(peer);
  return SocketCopy(socket.fd, socket.inode).HoldInput();
}

void Connections::ReleaseInput(const std::string& peer) {
  const Socket socket = SocketOf(peer);
  SocketCopy(socket.fd, socket.inode).ReleaseInput();
}

bool Connections::HasUnread(const std::string& peer) const {
  const Socket socket = SocketOf(peer);
  return SocketCopy(socket.fd, socket.inode).HasUnread();
}

int64_t Connections::count() const {
  MutexLock lock(&mutex_);
  return CountLocked();
}

}  // namespace holdfast::service
