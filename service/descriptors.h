// Divides the descriptors of the process among their uses. A use that runs out of descriptors fails, and a store that
// can't open its next log ends the process. Therefore each use has a part that it can't outgrow, and all parts together
// fit into the limit of the process.
//
//   a reserve     logs of the store, files being written, event queues, files that libraries open for a moment, the
//                 endpoint of the metrics, the collector of traces; connections to databases
//   connections   server.connections_max
//   http          http.connections_max, where there is an HTTP port
//   temporary     sql.temp_files_max: sorts and imports
//   tables        storage.open_tables_max: table files of the store that are kept open

#ifndef HOLDFAST_SERVICE_DESCRIPTORS_H_
#define HOLDFAST_SERVICE_DESCRIPTORS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "holdfast/config/v1/config.pb.h"

namespace holdfast::service {

inline constexpr int64_t kDescriptorReserve = 192;

// Raises the soft limit of the process to the hard one, but to at most 2^20, and returns the new limit.
int64_t RaiseDescriptorLimit();

// Divides `limit` descriptors: sets each of the settings that `config` leaves at 0, to at most its chosen_most.
// FAILED_PRECONDITION, which says how many are needed, if they do not fit.
absl::Status DivideDescriptors(int64_t limit, config::v1::Config* config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_DESCRIPTORS_H_
