// The resources that the process uses, as /proc tells. A number that cannot be read is 0.

#ifndef HOLDFAST_SERVICE_METRICS_PROCESS_USAGE_H_
#define HOLDFAST_SERVICE_METRICS_PROCESS_USAGE_H_

#include <cstdint>

#include "absl/time/time.h"

namespace holdfast::service {

struct ProcessUsage {
  absl::Duration cpu_time = absl::ZeroDuration();
  uint64_t resident_bytes = 0;
  uint64_t open_descriptors = 0;
  uint64_t descriptors_max = 0;
};

// Takes as long as listing the open descriptors: never on an executor.
ProcessUsage ReadProcessUsage();

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_PROCESS_USAGE_H_
