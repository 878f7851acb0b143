// A network between two programs that a test can cut: a TCP proxy in the test's own process, which needs no rights.
//
// A cut is that of packets that get lost. Connections stay open and nothing passes, new connections get no answer, and
// neither side learns of the other's end. When the cut is healed, what waited in the connections arrives, as it would
// after TCP has sent it again.
//
// Threading: any thread; one of the proxy's own carries the bytes.

#ifndef HOLDFAST_TESTS_CLUSTER_PROXY_H_
#define HOLDFAST_TESTS_CLUSTER_PROXY_H_

#include <poll.h>

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::testing {

class Proxy {
 public:
  // The bytes that are lost: those to the target, those from it, or both.
  enum class Cut { kNone, kForth, kBack, kBoth };

  // Carries connections to a port of this machine, or to a Unix socket.
  explicit Proxy(int target_port);
  explicit Proxy(std::string target_path);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  void Set(Cut cut);
  // Closes all connections, with a reset.
  void Reset();

 private:
  // One direction of a connection.
  struct Pipe {
    int from;
    int to;
    std::string bytes;  // read and not written
    bool ended = false;
    bool closed = false;  // the end was passed on
  };
  struct Link {
    Pipe forth;
    Pipe back;
    bool broken = false;
  };
  static constexpr size_t kPipeBytesMax = 256 << 10;

  void Listen();
  int Connect() const;
  void Work();
  void Accept();
  std::vector<pollfd> ToPoll() const;
  void MoveAll(const std::vector<pollfd>& polled);
  // Returns whether bytes pass that go this way.
  bool Passes(Cut way) const { return cut_ == Cut::kNone || (cut_ != Cut::kBoth && cut_ != way); }
  // Moves what can be moved without waiting; false if the connection is broken.
  static bool Move(Pipe* pipe, int16_t from_events, int16_t to_events);
  static void Close(const Link& link, bool reset);

  const int target_port_ = 0;
  const std::string target_path_;
  int port_ = 0;
  int listener_ = -1;
  int wake_ = -1;  // an eventfd

  std::mutex mutex_;
  // Guarded by mutex_.
  Cut cut_ = Cut::kNone;
  bool reset_ = false;
  bool ending_ = false;

  std::list<Link> links_;  // of the thread
  std::thread thread_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_PROXY_H_
