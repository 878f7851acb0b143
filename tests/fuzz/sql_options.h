// The bounds of the SQL of fuzz targets: small, and by a clock that goes on with each look at it, so that an input
// always takes as long.

#ifndef HOLDFAST_TESTS_FUZZ_SQL_OPTIONS_H_
#define HOLDFAST_TESTS_FUZZ_SQL_OPTIONS_H_

#include "absl/time/time.h"
#include "storage/sql/connection.h"

namespace holdfast::fuzz {

inline storage::sql::ConnectionOptions SqlOptions(absl::Time* steady,
                                                  storage::sql::Where where = storage::sql::Where::kWorker) {
  storage::sql::ConnectionOptions options;
  options.limits.time_max = absl::Milliseconds(200);
  options.limits.heap_bytes_max = 16 << 20;
  options.limits.temp_bytes_max = 8 << 20;
  options.limits.pages_max = 1000;
  options.now = [] { return absl::FromUnixSeconds(1'700'000'000); };
  options.steady = [steady] { return *steady += absl::Milliseconds(1); };
  options.where = where;
  return options;
}

}  // namespace holdfast::fuzz

#endif  // HOLDFAST_TESTS_FUZZ_SQL_OPTIONS_H_
