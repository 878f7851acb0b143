// ExportSql and ImportSql: an object's SQL database as a file of SQLite's, on a stream.

#ifndef HOLDFAST_SERVICE_SQL_FILES_H_
#define HOLDFAST_SERVICE_SQL_FILES_H_

#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/call/endpoint.h"

namespace holdfast::service {

// Wait for a call. `service` must outlive it.
void PostSqlExport(v1::ObjectService::AsyncService* service, Endpoint* endpoint);
void PostSqlImport(v1::ObjectService::AsyncService* service, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_SQL_FILES_H_
