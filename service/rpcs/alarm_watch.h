// WatchAlarms: a stream of the due alarms, each leased to the client of the stream.

#ifndef HOLDFAST_SERVICE_RPCS_ALARM_WATCH_H_
#define HOLDFAST_SERVICE_RPCS_ALARM_WATCH_H_

#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

// Waits for a call of the method, which must outlive it.
void PostAlarmWatch(const RawMethod* method, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_ALARM_WATCH_H_
