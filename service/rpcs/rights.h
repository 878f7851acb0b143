// ObjectService.GetRights: tells a caller what he may do, by the rules that held when the call arrived.

#ifndef HOLDFAST_SERVICE_RPCS_RIGHTS_H_
#define HOLDFAST_SERVICE_RPCS_RIGHTS_H_

#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

// Waits for a call of the method, which must outlive the call.
void PostGetRights(const RawMethod* method, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_RIGHTS_H_
