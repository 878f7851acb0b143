// The connections that the server has accepted: how many there may be, and how many bytes the calls on each may hold.
//
// gRPC 1.51 has no bound on connections, and stops listening for good when the process runs out of descriptors.
// Therefore the listener is ours (service/listener.h) and asks here. gRPC owns each descriptor afterwards and tells
// nobody when it closes it; a connection is found to be gone by asking the system whether its descriptor is still the
// same socket.
//
// At the bound the connection that was without a call for longest is ended to make room for a new one. A connection
// with a call in progress is never ended to make room, unless nobody had to say who he is for that call. This holds for
// all credentials, since it happens before gRPC sees a byte.
//
// Threading: any thread. Units: bytes as the call gate counts them.

#ifndef HOLDFAST_SERVICE_CALL_CONNECTIONS_H_
#define HOLDFAST_SERVICE_CALL_CONNECTIONS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class Connections {
 private:
  class SocketCopy;

 public:
  // One connection. If the listener did not report it, only its peer and its calls are known.
  class Connection {
   public:
    // The address of the client, as gRPC spells it. It stays as it is.
    const std::string& peer() const { return peer_; }

   private:
    friend class Connections;
    std::string peer_;
    int fd_ = -1;
    ino_t inode_ = 0;
    int64_t calls_ = 0;
    int64_t keeping_ = 0;  // calls of them that keep the connection
    int64_t bytes_ = 0;
    uint64_t last_used_ = 0;  // a count of uses, not a time
  };

  // Connections that were ended to make room and that gRPC has not closed yet. Their descriptors come beside those of
  // connections_max.
  static constexpr size_t kClosingMax = 32;

  explicit Connections(int64_t connections_max) : connections_max_(connections_max) {}
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  enum class Room {
    kTaken,  // the socket is one of the connections now
    kSoon,   // connections were ended, but gRPC has not closed them yet: ask again in a moment
    kNone,   // all connections have calls
  };
  // Adds an accepted socket to the connections. `peer` is its address as gRPC spells it.
  Room Add(int fd, absl::string_view peer);

  // Begins a call on the connection of `peer`, which stays valid until End. The connection of a call that does not keep
  // it may be ended to make room.
  Connection* Begin(absl::string_view peer, bool keeps = true);
  // Ends a call on the connection, and takes away the bytes that the call still holds. `keeps` as for Begin.
  void End(Connection* connection, int64_t bytes, bool keeps = true);
  // Adds to the bytes that the calls on the connection hold. Returns false, and adds nothing, if they would be over
  // `bytes_max`.
  bool AddBytes(Connection* connection, int64_t bytes, int64_t bytes_max);
  void RemoveBytes(Connection* connection, int64_t bytes);

  // The bytes of its client that have been read from a connection since it was opened; 0 once it is closed.
  struct Read {
    std::string peer;
    uint64_t bytes;
  };
  std::vector<Read> AllRead() const;
  // Ends the connection, with the calls on it, and throws away the bytes that it has sent and gRPC has not read. Its
  // client would be back at once, so no connection is accepted for kPauseAfterFlood: the other connections go first.
  void EndFlood(const std::string& peer);
  static constexpr absl::Duration kPauseAfterFlood = absl::Milliseconds(250);
  // Returns the time that the listener has to wait before it accepts the next connection: the rest of the pause after a
  // flood, or zero. The listener sleeps for it, since only time ends the pause, and its thread does nothing but accept.
  // New connections wait in the kernel's backlog; requests on accepted connections do not wait.
  absl::Duration AcceptPause() const;

  // Returns the peers of the connections whose sockets are open.
  std::vector<std::string> AllOpen() const;
  // From now on the system takes no bytes from the client, which will send them again. Received bytes stay, and the
  // client's acknowledgements still pass. Returns false if the system can't do that.
  bool HoldInput(const std::string& peer);
  void ReleaseInput(const std::string& peer);
  // Returns whether the connection has received bytes that gRPC has not read yet.
  bool HasUnread(const std::string& peer) const;

  // While it lives, the system holds back what is sent on the connection, but for full packets; then the rest leaves.
  // It does nothing for a connection whose socket is closed or not known. Any thread; the connection may end first.
  class Corked {
   public:
    Corked(const Connections& connections, const Connection& connection);
    Corked(const Corked&) = delete;
    Corked& operator=(const Corked&) = delete;
    ~Corked();

   private:
    std::unique_ptr<SocketCopy> socket_;
  };

  // Returns the number of connections that were added, without those that only their calls have made known: the HTTP
  // port counts its connections by itself.
  int64_t count() const;

 private:
  using Table = absl::flat_hash_map<std::string, std::unique_ptr<Connection>>;
  struct Socket {
    std::string peer;
    int fd;
    ino_t inode;
  };

  int64_t CountLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int64_t>(table_.size()) - not_added_;
  }
  // Returns the socket of the connection; its descriptor is -1 if there is none.
  Socket SocketOf(const std::string& peer) const;
  // Forgets closed connections that have no calls. Asks the system without holding the lock.
  void ForgetClosed();
  // Makes room by ending the connection without calls that keep it that was used longest ago; kTaken: there is room.
  Room EndLongestIdle();

  const int64_t connections_max_;

  mutable Mutex mutex_;
  Table table_ ABSL_GUARDED_BY(mutex_);            // by peer
  int64_t not_added_ ABSL_GUARDED_BY(mutex_) = 0;  // of them: known by their calls only
  std::vector<Socket> closing_ ABSL_GUARDED_BY(mutex_);
  uint64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time accept_after_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CONNECTIONS_H_
