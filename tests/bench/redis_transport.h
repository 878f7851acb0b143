// Calls of Redis on loopback, with hiredis.

#ifndef HOLDFAST_TESTS_BENCH_REDIS_TRANSPORT_H_
#define HOLDFAST_TESTS_BENCH_REDIS_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/event_loop.h"
#include "tests/bench/load.h"

struct redisAsyncContext;

namespace holdfast::bench {

using RedisCommand = std::vector<std::string>;

// Each slot has a connection of its own. A call is `depth` commands that are sent together. It ends when all their
// replies have come, and is ok if no reply is an error. All calls in a slot whose connection was lost fail.
class RedisTransport final : public Transport {
 public:
  // Makes the `number`th command of all: call n has the commands n * depth to n * depth + depth - 1.
  using Make = std::function<RedisCommand(int64_t number)>;

  RedisTransport(int port, int slots, Make make, int depth = 1);
  ~RedisTransport() override;

  void Begin(int slot, int64_t number) override;
  void Poll(absl::Time until, Sink* sink) override;

 private:
  struct Slot {
    RedisTransport* transport;
    int index;
    redisAsyncContext* connection = nullptr;  // null if lost
    int waiting = 0;                          // replies that have not come yet
    bool ok = true;                           // no error so far
  };

  static void OnConnect(const redisAsyncContext* connection, int status);
  static void OnDisconnect(const redisAsyncContext* connection, int status);
  static void OnReply(redisAsyncContext* connection, void* reply, void* slot);
  void Open(Slot* slot, int port);
  void Replied(Slot* slot, bool ok);

  const Make make_;
  const int depth_;
  EventLoop loop_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Sink* sink_ = nullptr;     // set during Poll
  std::vector<int> failed_;  // slots whose call failed during Begin
};

// Sends the commands together on a connection of their own and waits for the replies. Returns a status or a number as
// text, an array as its last element, nil as the empty string, and the first error reply as an error.
absl::StatusOr<std::vector<std::string>> CallRedis(int port, const std::vector<RedisCommand>& commands);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_REDIS_TRANSPORT_H_
