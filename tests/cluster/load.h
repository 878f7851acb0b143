// A load on all nodes of a cluster while nodes and the database fail, and the checks of what its clients were told.
//
// Several clients use the same counters, unique numbers and rate limits, and write down what they see (history.h). The
// clients of the crash test write objects of their own with keys, batches and SQL, whose state is known exactly, and
// set and watch alarms. All give each change a request id and send it until it is answered.

#ifndef HOLDFAST_TESTS_CLUSTER_LOAD_H_
#define HOLDFAST_TESTS_CLUSTER_LOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/cluster/cluster.h"
#include "tests/cluster/history.h"
#include "tests/cluster/route.h"
#include "tests/crash/alarm_load.h"
#include "tests/crash/object_writer.h"
#include "tests/crash/sql_writer.h"

namespace holdfast::testing {

class Load {
 public:
  Load(const Cluster& cluster, uint64_t seed);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void Begin();
  // Returns when each call under way is answered, and every alarm and item that waits has come. All nodes must be well.
  void End();
  // Reads everything, through any node, and returns all that is wrong so far. Call this while there is no load.
  std::vector<Finding> Verify();

  // Calls of all clients that were answered.
  int64_t acknowledged() const { return acknowledged_; }
  const History& history() const { return history_; }
  const AlarmLoad& alarms() const { return alarms_; }

 private:
  // Runs `call` on a thread until the load ends, or it returns false since there was no answer.
  void Run(std::function<bool(Route*)> call);
  void Watch(int node);
  // Makes a call of one of the clients that share objects.
  bool CallShared(Route* route, int client, std::mt19937_64* random);
  // Calls a counter, and adds the call to the history.
  template <typename Request, typename Response>
  bool CallCounter(const Stubs& stubs, SeenCall seen,
                   grpc::Status (v1::CounterService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, int64_t (Response::*value)() const);
  bool CheckLimit(const Stubs& stubs, const std::string& object, const std::string& id);
  // Returns whether the call was answered; one that was not is a finding.
  bool Answered(const std::string& object, const grpc::Status& status);
  void Find(Finding finding);

  const Cluster& cluster_;
  std::mt19937_64 random_;
  History history_;
  std::vector<ObjectWriter> writers_;
  std::vector<SqlWriter> sql_writers_;
  AlarmLoad alarms_;
  std::atomic<int64_t> acknowledged_ = 0;
  std::atomic<int64_t> next_id_ = 0;

  std::atomic<bool> ending_ = false;
  std::vector<std::thread> clients_;

  std::atomic<bool> watching_ = false;
  std::vector<std::thread> watchers_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<grpc::ClientContext*> watches_;
  std::vector<Finding> findings_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_LOAD_H_
