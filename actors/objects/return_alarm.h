// Returns an alarm that was leased to a watcher which was gone before the delivery reached it: the alarm is due again,
// and no attempt counts.

#ifndef HOLDFAST_ACTORS_OBJECTS_RETURN_ALARM_H_
#define HOLDFAST_ACTORS_OBJECTS_RETURN_ALARM_H_

#include <string>

#include "absl/status/status.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/executor/task.h"
#include "actors/objects/plain_object.h"
#include "actors/runtime/delivery.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

// The delivery deletes itself in Done. After an error the lease expires in its time.
class ReturnAlarm final : public Delivery {
 public:
  explicit ReturnAlarm(const AlarmWatchers::Delivery& delivery) : key_(delivery.object), token_(delivery.token) {}
  const storage::ObjectKey& key() const { return key_; }

  Task<absl::Status> Run(Object& object) override { return static_cast<PlainObject&>(object).ReturnAlarm(token_); }
  void Done(const absl::Status&) override { delete this; }

 private:
  const storage::ObjectKey key_;
  const std::string token_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_RETURN_ALARM_H_
