// Load on a server that is killed under it, and what must be true when it is back.
//
// Each thread writes to counters, unique numbers, batches, users and rate limits, and notes what was acknowledged and
// what it never got an answer to. A write that was acknowledged must be there; one without an answer may be there or
// not, but once at most. The expected state lives through all rounds.
//
// Other threads write to objects of class Object with request ids, keys (object_writer.h) and SQL (sql_writer.h), and
// set and watch alarms (alarm_load.h); what those must be is known exactly.

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

#include "tests/crash/alarm_load.h"
#include "tests/crash/object_writer.h"
#include "tests/crash/sql_writer.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {

class Workload {
 public:
  explicit Workload(uint64_t seed);

  // Loads the server from several threads until so many writes were acknowledged, then kills it under the load.
  void RunAndKill(ServerProcess* server, int64_t acknowledged);
  // Compares what the server has with what it must have. Every difference is one line; none means that all is well.
  std::vector<std::string> Verify(const ServerProcess& server);
  // Lets every alarm that is set come, without a kill, and verifies. One that never comes is a difference.
  std::vector<std::string> Finish(const ServerProcess& server);

  int64_t acknowledged() const { return acknowledged_; }
  int64_t unanswered() const { return unanswered_; }
  // Calls with a request id that were sent again, in a later life of the server.
  int64_t repeated() const;
  // Objects of class Object that were found in another place than before.
  int64_t moves_seen() const;
  const AlarmLoad& alarms() const { return alarms_; }
  const std::vector<SqlWriter>& sql() const { return sql_writers_; }

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

  // `write` is false where it got no answer.
  void WriteObjects(const ServerProcess& server, const std::function<bool(const Stubs&)>& write,
                    const std::function<void()>& on_acknowledged, const std::atomic<bool>& stop);
  void SetAlarms(const ServerProcess& server, const std::function<void()>& on_acknowledged,
                 const std::atomic<bool>& stop);

  std::mt19937_64 random_;
  std::vector<ObjectWriter> writers_;
  std::vector<SqlWriter> sql_writers_;
  AlarmLoad alarms_;
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
