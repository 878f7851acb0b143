// Alarms of objects of class Object under kills: one thread sets them, another watches them and ends each delivery with
// an ApplyBatch that carries its token and counts it.
//
// An object has one alarm at a time, so that its count must be the number of alarms set: the check finds an alarm that
// never came, or whose effect came twice. No alarm may come before its time.

#ifndef HOLDFAST_TESTS_CRASH_ALARM_LOAD_H_
#define HOLDFAST_TESTS_CRASH_ALARM_LOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/crash/copyable_mutex.h"
#include "tests/crash/retried_call.h"

namespace holdfast::testing {

class AlarmLoad {
 public:
  // With several watchers, a delivery may wait unread in one stream until another watcher has handled a later one of
  // the same alarm. The check is then that its token is no longer good for anything.
  enum class Watchers { kOne, kSeveral };
  explicit AlarmLoad(uint64_t seed, Watchers watchers = Watchers::kOne) : watchers_(watchers), random_(seed) {}

  // Sets an alarm of an object that has none; returns false if there was no answer. One thread calls this.
  bool Set(const Stubs& stubs);
  // Handles deliveries until the stream ends, on another thread. Calls `on_handled` after each delivery that was
  // acknowledged.
  void Watch(const Stubs& stubs, grpc::ClientContext* context, const std::function<void()>& on_handled);
  // Returns the errors found; call this in the next life, while nobody sets and watches.
  std::vector<std::string> Verify(const Stubs& stubs);

  // Alarms that are set and have not had their effect.
  int64_t outstanding();
  // Returns their objects, and how long ago they were due, for a message.
  std::string DescribeOutstanding();
  int64_t handled() const { return handled_; }
  // Deliveries of an alarm that had been delivered before.
  int64_t redelivered() const { return redelivered_; }
  // Deliveries that a kill met before their acknowledgement was answered.
  int64_t interrupted() const { return interrupted_; }
  int64_t repeated() const { return repeated_; }

 private:
  struct Alarm {
    int64_t count = 0;                    // alarms that had their effect
    std::optional<int64_t> scheduled_us;  // time of the alarm that is set, or may be set
    bool delivered = false;
  };

  bool Handle(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery, bool* acknowledged);
  // Returns whether the delivery is of the alarm that is set; one that is not is a difference, or stale.
  bool IsExpected(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery);
  // Reports the delivery as failed.
  Reply<v1::AcknowledgeAlarmResponse> Fail(const Stubs& stubs, const v1::WatchAlarmsResponse& delivery);
  v1::ApplyBatchRequest Acknowledgement(const v1::WatchAlarmsResponse& delivery, int64_t count);
  void Handled(const std::string& object);
  void Differ(const std::string& what);

  const Watchers watchers_;
  std::mt19937_64 random_;
  RetriedCalls sets_;
  int64_t next_id_ = 0;
  CopyableMutex mutex_;
  // Guarded by mutex_ while threads work.
  std::map<std::string, Alarm> alarms_;
  std::vector<std::string> differences_;
  // The acknowledgement that had no answer.
  std::optional<v1::ApplyBatchRequest> unanswered_;
  int64_t handled_ = 0;
  int64_t redelivered_ = 0;
  int64_t interrupted_ = 0;
  int64_t repeated_ = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CRASH_ALARM_LOAD_H_
