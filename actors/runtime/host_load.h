// The load of one executor at one moment: the things that its objects hold and wait for.

#ifndef HOLDFAST_ACTORS_RUNTIME_HOST_LOAD_H_
#define HOLDFAST_ACTORS_RUNTIME_HOST_LOAD_H_

#include <cstddef>
#include <cstdint>

#include "actors/alarms/alarm_scheduler.h"

namespace holdfast::actors {

struct HostLoad {
  size_t active_objects = 0;
  size_t active_object_bytes = 0;
  size_t pending_commit_bytes = 0;  // of writes that are not durable yet
  int64_t request_records = 0;
  int64_t request_record_bytes = 0;
  AlarmScheduler::Load alarms;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_HOST_LOAD_H_
