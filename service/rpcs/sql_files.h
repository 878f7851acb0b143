// ExportSql and ImportSql: an object's SQL database as a file of SQLite's, on a stream.

#ifndef HOLDFAST_SERVICE_RPCS_SQL_FILES_H_
#define HOLDFAST_SERVICE_RPCS_SQL_FILES_H_

#include "service/call/endpoint.h"
#include "service/call/raw_method.h"

namespace holdfast::service {

// Wait for a call of the method, which must outlive it.
void PostSqlExport(const RawMethod* method, Endpoint* endpoint);
void PostSqlImport(const RawMethod* method, Endpoint* endpoint);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RPCS_SQL_FILES_H_
