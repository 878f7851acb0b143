#include "service/options.h"

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "storage/sql/pages.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

// The nice value of the threads of imports, which give way to all others, and the number that may run beyond the bound.
constexpr int kImportNice = 10;
constexpr int kImportsOvertakingMax = 1;

}  // namespace

actors::HostOptions HostOptionsOf(const Config& config) {
  const auto& actors = config.actors();
  actors::HostOptions options;
  options.waiting_requests_max = actors.waiting_requests_max();
  options.waiting_time_max = absl::Milliseconds(actors.waiting_time_max_ms());
  options.mailbox = {static_cast<size_t>(actors.mailbox_requests_max()),
                     static_cast<size_t>(actors.mailbox_bytes_max())};
  options.idle_timeout = absl::Milliseconds(actors.idle_timeout_ms());
  options.load_timeout = absl::Milliseconds(actors.load_timeout_ms());
  options.turn_timeout = absl::Milliseconds(actors.turn_timeout_ms());
  options.alarm_timeout = absl::Milliseconds(actors.alarm_timeout_ms());
  options.activation_bytes_max = actors.activation_bytes_max() / actors.executors();
  options.turn_bytes_max = config.storage().turn_bytes_max();
  options.pipeline_bytes_max = config.storage().pipeline_bytes_max();
  options.inline_commit_max = absl::Microseconds(config.storage().inline_commit_max_us());
  const auto& storage = config.storage();
  options.object_bytes_max = storage.object_bytes_max();
  const auto& sql = config.sql();
  options.sql = {.cache_bytes = static_cast<size_t>(sql.cache_bytes()),
                 .heap_bytes_max = static_cast<size_t>(sql.heap_bytes_max()),
                 .temp_bytes_max = static_cast<uint64_t>(sql.temp_bytes_max()),
                 .pages_max = static_cast<uint32_t>(std::min<int64_t>(
                     UINT32_MAX - 1, storage.object_bytes_max() / int64_t{storage::sql::kPageBytes} + 1)),
                 .time_max = absl::Milliseconds(sql.time_limit_ms()),
                 .statement_bytes_max = sql.statement_bytes_max(),
                 .columns_max = sql.columns_max(),
                 .params_max = sql.params_max(),
                 .like_pattern_bytes_max = sql.like_pattern_bytes_max(),
                 .function_args_max = sql.function_args_max()};
  options.records.age = absl::Milliseconds(storage.request_record_age_ms());
  options.records.bytes_max = std::max<int64_t>(1, storage.request_record_bytes_max() / actors.executors());
  options.records.namespace_bytes_max =
      std::max<int64_t>(1, storage.request_record_bytes_per_namespace_max() / actors.executors());
  options.objects.rate_limit_windows_max = actors.rate_limit_windows_max();
  options.objects.rate_limit_log_requests_max = actors.rate_limit_log_requests_max();
  options.alarms.per_second = std::max(1, actors.overdue_alarms_per_second() / actors.executors());
  return options;
}

storage::sql::WorkerLimits StatementLimitsOf(const Config& config) {
  storage::sql::WorkerLimits limits;
  limits.running_max = config.sql().threads();
  limits.statements_max = config.sql().statements_max();
  limits.namespace_statements_max = config.sql().namespace_statements_max();
  // A waiting statement ends before its turn times out.
  limits.wall_max = absl::Milliseconds(config.actors().turn_timeout_ms()) * 3 / 4;
  return limits;
}

storage::sql::WorkerLimits ImportLimitsOf(const Config& config) {
  storage::sql::WorkerLimits limits;
  limits.running_max = config.sql().import_threads();
  limits.statements_max = limits.namespace_statements_max = config.sql().imports_max();
  limits.overtaking_max = kImportsOvertakingMax;
  // The call has the same limit and reports it.
  limits.wall_max = absl::Milliseconds(config.sql().transfer_time_limit_ms());
  limits.nice = kImportNice;
  return limits;
}

}  // namespace holdfast::service
