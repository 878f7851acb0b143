// A load on a server that is killed under it, and the checks of the server when it is back.
//
// Each thread writes to counters, unique numbers, batches, users and rate limits, and notes which writes were
// acknowledged and which got no answer. An acknowledged write must be there; a write without an answer may be there or
// not, but once at most. The expected state lives through all rounds.
//
// Other threads write to objects of class Object with request ids, with keys (object_writer.h) and SQL (sql_writer.h),
// and set and watch alarms (alarm_load.h). The state of those objects is known exactly.

#ifndef HOLDFAST_TESTS_CRASH_WORKLOAD_H_
#define HOLDFAST_TESTS_CRASH_WORKLOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/alarm_load.h"
#include "tests/crash/copyable_mutex.h"
#include "tests/crash/object_writer.h"
#include "tests/crash/sql_writer.h"
#include "tests/integration/server_process.h"

namespace holdfast::testing {

// A copy, made while nothing runs, remembers the state of that moment: a test compares it with a restored server.
class Workload {
 public:
  explicit Workload(uint64_t seed);

  // Loads the server from several threads until `acknowledged` writes were acknowledged, then kills it under the load.
  void RunAndKill(ServerProcess* server, int64_t acknowledged);
  // Compares the state of the server with the expected one. Each difference is one line; none means that all is well.
  std::vector<std::string> Verify(const ServerProcess& server);
  // Waits for every alarm that is set, without a kill, and verifies. An alarm that never comes is a difference.
  std::vector<std::string> Finish(const ServerProcess& server);

  int64_t acknowledged() const { return acknowledged_; }
  int64_t unanswered() const { return unanswered_; }
  // Calls with a request id that were sent again in a later life of the server.
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
    int64_t acknowledged = 0;  // the last acknowledged revision; 0: none
    int64_t sent = 0;          // the last revision that was sent
  };

  void Work(const ServerProcess& server, int thread, uint64_t seed, const std::function<void()>& on_acknowledged,
            const std::atomic<bool>& stop);
  std::vector<std::string> VerifyItems(const ServerProcess& server, const std::string& object);

  // Runs `write` until it returns false, which means that there was no answer.
  void WriteObjects(const ServerProcess& server, const std::function<bool(const Stubs&)>& write,
                    const std::function<void()>& on_acknowledged, const std::atomic<bool>& stop);
  void SetAlarms(const ServerProcess& server, const std::function<void()>& on_acknowledged,
                 const std::atomic<bool>& stop);

  std::mt19937_64 random_;
  std::vector<ObjectWriter> writers_;
  std::vector<SqlWriter> sql_writers_;
  AlarmLoad alarms_;
  CopyableMutex mutex_;
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
