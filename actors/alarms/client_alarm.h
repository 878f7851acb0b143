// The alarm of an object of class Object: the time that is set, and the delivery that is out.
//
//   set --due, taken by a watcher--> out --acknowledged--> nothing
//    ^                                |
//    +--- retry, with a backoff ------+ lease expired, or an error
//
// A set or delete while a delivery is out stands, however the delivery ends. This class is the state and its changes;
// PlainObject stores it and talks to the watchers. Times are by the object's clock, in microseconds.

#ifndef HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_
#define HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/alarms/alarm_description.h"
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
  // Returns the time as clients see it: absent while the alarm is being delivered, unless another was set.
  std::optional<absl::Time> Visible(absl::Time now) const;
  // Returns the time of the next work: to deliver the alarm, or to end a lease.
  std::optional<absl::Time> WakeTime() const;
  bool LeaseExpired(absl::Time now) const;
  // Returns whether the delivery with this token is out and its lease has not expired.
  bool Holds(absl::string_view token, absl::Time now) const;

  // `by_delay`: the time was computed from a delay; a client did not name the instant. A load forgets this flag.
  void Set(absl::Time time, bool by_delay = false);
  // Returns the clock by which the wake time is measured.
  storage::AlarmClock WakeClock() const;
  void Delete();
  // Begins a delivery. The alarm is due and no delivery is out.
  void Deliver(std::string token, absl::Time lease_expire_time);
  void Extend(absl::Time lease_expire_time);
  // Each of these ends the delivery and returns its token.
  std::string Acknowledge();
  // The delivery never reached a client: the alarm is due again, and no attempt counts.
  std::string Return();
  // The delivery failed at this time.
  std::string Fail(absl::Time time, Random& random);
  // The lease has expired: the next attempt avoids this watcher (AlarmWatchers).
  std::string Expire(uint64_t watcher, Random& random);

 private:
  storage::v1::ClientAlarm record_;
  bool by_delay_ = false;  // record_.scheduled_time_us was computed from a delay
};

// Reads the alarm of an object of class Object from its durable storage (ObjectClass::describe_alarm).
absl::Status DescribeClientAlarm(storage::View& view, absl::Time now, AlarmDescription* alarm);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_CLIENT_ALARM_H_
