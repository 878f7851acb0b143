// Load on a server that is killed under it, and what must be true when it is back.
//
// Each thread writes to counters, unique numbers, batches, users and rate limits, and notes what was acknowledged and
// what it never got an answer to. A write that was acknowledged must be there; one without an answer may be there or
// not, but once at most. The expected state lives through all rounds.

#ifndef HOLDFAST_TESTS_CRASH_WORKLOAD_H_
#define HOLDFAST_TESTS_CRASH_WORKLOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/server_process.h"

namespace holdfast::testing {

class Workload {
 public:
  explicit Workload(uint64_t seed) : random_(seed) {}

  // Loads the server from several threads until so many writes were acknowledged, then kills it under the load.
  void RunAndKill(ServerProcess* server, int64_t acknowledged);
  // Compares what the server has with what it must have. Every difference is one line; none means that all is well.
  std::vector<std::string> Verify(const ServerProcess& server);

  int64_t acknowledged() const { return acknowledged_; }
  int64_t unanswered() const { return unanswered_; }

 private:
  struct Counted {
    int64_t acknowledged = 0;
    int64_t unanswered = 0;
  };
  struct User {
    int64_t acknowledged = 0;  // the last revision that was, 0: none
    int64_t sent = 0;          // the last that was sent
  };

  void Work(const ServerProcess& server, int thread, uint64_t seed, const std::function<void()>& on_acknowledged,
            const std::atomic<bool>& stop);
  std::vector<std::string> VerifyItems(const ServerProcess& server, const std::string& object);

  std::mt19937_64 random_;
  std::mutex mutex_;
  // Guarded by mutex_ while threads work.
  std::map<std::string, Counted> counters_;
  std::map<std::string, Counted> limits_;
  std::map<std::string, std::set<int64_t>> unique_numbers_;
  std::map<std::string, std::map<std::string, bool>> items_;  // object -> item -> acknowledged
  std::map<std::string, User> users_;
  std::vector<std::string> differences_;
  int64_t next_item_ = 0;
  int64_t acknowledged_ = 0;
  int64_t unanswered_ = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_WORKLOAD_H_
