// The alarm of an object as DescribeObject tells it.

#ifndef HOLDFAST_ACTORS_ALARMS_ALARM_DESCRIPTION_H_
#define HOLDFAST_ACTORS_ALARMS_ALARM_DESCRIPTION_H_

#include <optional>

#include "absl/time/time.h"
#include "holdfast/storage/v1/storage.pb.h"

namespace holdfast::actors {

struct AlarmDescription {
  // The alarm as GetAlarm shows it to a client.
  std::optional<absl::Time> visible;
  // The alarm that is set, also while a failed attempt waits to be repeated. For a class that gives its alarms to
  // clients this is the client's alarm, not the runtime's alarm that wakes the object.
  std::optional<storage::v1::AlarmRecord> next;
  // The delivery that is out to a client.
  std::optional<storage::v1::AlarmDelivery> delivery;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_ALARMS_ALARM_DESCRIPTION_H_
