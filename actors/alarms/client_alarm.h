// The alarm of an object of class Object: what is set, and the delivery that is out.
//
//   set --due, taken by a watcher--> out --acknowledged--> nothing
//    ^                                |
//    +--- retry, with a backoff ------+ lease expired, or an error
//
// What the object says while a delivery is out (set, delete) stands, whatever comes of the delivery. This is the state
// and its changes; storing it and talking to watchers is PlainObject's. Times are the object's clock, in microseconds.

#ifndef HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_
#define HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/object_storage.h"

namespace holdfast::actors {

class ClientAlarm {
 public:
  ClientAlarm() = default;
  explicit ClientAlarm(storage::v1::ClientAlarm record) : record_(std::move(record)) {}

  const storage::v1::ClientAlarm& record() const { return record_; }
  bool empty() const { return !record_.has_scheduled_time_us() && !record_.has_delivery(); }
  // What a client sees: absent while it is being delivered, unless another was set.
  std::optional<absl::Time> Visible(absl::Time now) const;
  // When there is something to do: to deliver, or to end a lease.
  std::optional<absl::Time> WakeTime() const;
  bool LeaseExpired(absl::Time now) const;
  // The token's delivery is out and its lease has not expired.
  bool Holds(absl::string_view token, absl::Time now) const;

  // `by_delay`: the time comes of a delay, not of an instant that a client has named. It is known until the next load.
  void Set(absl::Time time, bool by_delay = false);
  // Returns the clock by which the wake time is measured.
  storage::AlarmClock WakeClock() const;
  void Delete();
  // It is due and none is out.
  void Deliver(std::string token, absl::Time lease_expire_time);
  void Extend(absl::Time lease_expire_time);
  // The delivery ends; returns its token.
  std::string Acknowledge();
  // The same, and it never came to anybody: the alarm is due again, and no attempt counts.
  std::string Return();
  // The same, and it failed at that time.
  std::string Fail(absl::Time time, Random& random);
  // The same, as its lease has expired: the next attempt avoids that watcher (AlarmWatchers).
  std::string Expire(uint64_t watcher, Random& random);

 private:
  storage::v1::ClientAlarm record_;
  bool by_delay_ = false;  // record_.scheduled_time_us
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_
