// Redis with an append-only file that is synced before each reply. It has no objects: a counter is a key, a user a
// hash, and a sliding window a sorted set that a script keeps.

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/peer_start.h"
#include "tests/bench/peers.h"
#include "tests/bench/redis_transport.h"
#include "tests/bench/walk.h"
#include "tests/shared/free_port.h"

namespace holdfast::bench {
namespace {

constexpr int kPipelineDepth = 16;

// KEYS: the window. ARGV: limit, window in ms. Returns {allowed, remaining}.
constexpr char kSlidingWindow[] = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]) * 1000)
local count = redis.call('ZCARD', KEYS[1])
local limit = tonumber(ARGV[1])
if count >= limit then return {0, 0} end
-- Two in the same microsecond are two.
redis.call('ZADD', KEYS[1], now, string.format('%.0f-%d', now, count))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, limit - count - 1}
)lua";

std::string CounterKey(int64_t counter) { return "counter:" + ObjectName(counter); }

PeerWorkload Commands(int port, const std::string& name, RedisTransport::Make make, int depth = 1) {
  return {.name = name,
          .units_per_call = depth,
          .connect = [port, make = std::move(make), depth](int outstanding) -> std::unique_ptr<Transport> {
            return std::make_unique<RedisTransport>(port, outstanding, make, depth);
          }};
}

absl::StatusOr<int64_t> SumOfCounters(int port) {
  std::vector<RedisCommand> commands;
  for (int64_t i = 0; i < kObjects; ++i) commands.push_back({"GET", CounterKey(i)});
  const auto texts = CallRedis(port, commands);
  if (!texts.ok()) return texts.status();
  int64_t sum = 0;
  for (const std::string& text : *texts) {
    int64_t value = 0;
    if (!text.empty() && !absl::SimpleAtoi(text, &value)) return absl::InternalError("no number: " + text);
    sum += value;
  }
  return sum;
}

PeerWorkload Increments(int port, const std::string& name, int64_t counters, int depth = 1) {
  PeerWorkload workload = Commands(
      port, name,
      [counters](int64_t number) {
        return RedisCommand{"INCR", CounterKey(Pick(number, counters))};
      },
      depth);
  workload.count_done = [port] { return SumOfCounters(port); };
  return workload;
}

std::vector<PeerWorkload> Workloads(int port, const std::string& sliding_window) {
  return {
      Increments(port, "increment", kObjects),
      Increments(port, "increment-hot", 1),
      Commands(port, "get-value",
               [](int64_t number) {
                 return RedisCommand{"GET", CounterKey(Pick(number, kObjects))};
               }),
      Commands(port, "check-limit",
               [sliding_window](int64_t number) {
                 return RedisCommand{
                     "EVALSHA", sliding_window,
                     "1",       absl::StrCat("limit:", ObjectName(Pick(number, kObjects)), ":key-", KeyOf(number)),
                     "100",     "60000"};
               }),
      Commands(port, "update-user",
               [](int64_t number) {
                 return RedisCommand{
                     "HSET",  absl::StrCat("user:", ObjectName(Pick(number, kObjects)), ":user-", KeyOf(number)),
                     "name",  "A name of some twenty b.",
                     "email", absl::StrCat("mail", number % 100, "@example.com")};
               }),
      Increments(port, "incr-pipelined-16", kObjects, kPipelineDepth),
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<Peer>> StartRedis(const std::string& directory) {
  const absl::StatusOr<std::string> program = FindProgram("redis-server");
  if (!program.ok()) return program.status();
  const std::string data = directory + "/redis";
  const std::string log = directory + "/redis.log";
  std::filesystem::create_directories(data);

  auto peer = std::make_unique<Peer>();
  peer->name = "redis";
  peer->port = process::FreePort();
  peer->processes.push_back(StartChild({*program, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                                        "--port", absl::StrCat(peer->port), "--bind", "127.0.0.1", "--dir", data},
                                       log));
  const absl::Status ready =
      WaitUntilReady(*peer->processes.back(), log, [&] { return CallRedis(peer->port, {{"PING"}}).status(); });
  if (!ready.ok()) return ready;
  const auto texts = CallRedis(
      peer->port,
      {{"CONFIG", "GET", "appendonly"}, {"CONFIG", "GET", "appendfsync"}, {"SCRIPT", "LOAD", kSlidingWindow}});
  if (!texts.ok()) return texts.status();
  if ((*texts)[0] != "yes" || (*texts)[1] != "always") return absl::InternalError("it does not sync before it replies");
  peer->workloads = Workloads(peer->port, (*texts)[2]);
  return peer;
}

}  // namespace holdfast::bench
