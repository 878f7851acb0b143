// The options of the parts of a server, out of its configuration, which has been checked.

#ifndef HOLDFAST_SERVICE_OPTIONS_H_
#define HOLDFAST_SERVICE_OPTIONS_H_

#include "actors/runtime/lane.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/sql/workers.h"

namespace holdfast::service {

// Returns the options of the host of one executor: bounds of the server are divided by the number of executors.
actors::HostOptions HostOptionsOf(const config::v1::Config& config);
// Return the limits of the threads of an executor for SQL statements, and for imports.
storage::sql::WorkerLimits StatementLimitsOf(const config::v1::Config& config);
storage::sql::WorkerLimits ImportLimitsOf(const config::v1::Config& config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_OPTIONS_H_
