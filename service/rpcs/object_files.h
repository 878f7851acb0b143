// ExportObject and ImportObject: a whole object as a file, on a stream.

#ifndef HOLDFAST_SERVICE_RPCS_OBJECT_FILES_H_
#define HOLDFAST_SERVICE_RPCS_OBJECT_FILES_H_

#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

// Each waits for a call of the method, which must outlive the call.
void PostObjectExport(const RawMethod* method, Endpoint* endpoint);
void PostObjectImport(const RawMethod* method, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_OBJECT_FILES_H_
