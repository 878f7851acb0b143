// WatchAlarms: a stream of the alarms that come due, each leased to the client behind it.

#ifndef HOLDFAST_SERVICE_ALARM_WATCH_H_
#define HOLDFAST_SERVICE_ALARM_WATCH_H_

#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/call/endpoint.h"

namespace holdfast::service {

// Waits for a call. `service` must outlive it.
void PostAlarmWatch(v1::ObjectService::AsyncService* service, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ALARM_WATCH_H_
