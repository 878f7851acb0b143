#include "service/access/audit_log.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "service/access/policy.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

constexpr absl::Duration kComplainInterval = absl::Minutes(1);

}  // namespace

AuditLog::AuditLog(const config::v1::AuditConfig& config, const actors::Clock* clock)
    : clock_(clock),
      refusals_per_second_max_(config.refusals_per_second_max()),
      writes_of_namespace_(config.writes_of_namespace().begin(), config.writes_of_namespace().end()) {}

AuditLog::~AuditLog() = default;

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const config::v1::AuditConfig& config,
                                                         const actors::Clock* clock) {
  std::unique_ptr<AuditLog> log(new AuditLog(config, clock));
  // spdlog reports errors of files by exceptions.
  try {
    auto file = std::make_shared<spdlog::sinks::rotating_file_sink_st>(
        config.file(), static_cast<size_t>(config.file_bytes_max()), static_cast<size_t>(config.files_max()));
    file->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    MutexLock lock(&log->mutex_);
    log->file_ = std::move(file);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("audit.file: ", config.file(), ": ", error.what()));
  }
  return log;
}

bool AuditLog::WantsWritesOf(absl::string_view ns) const {
  return std::any_of(writes_of_namespace_.begin(), writes_of_namespace_.end(),
                     [ns](const std::string& pattern) { return MatchesPattern(pattern, ns); });
}

void AuditLog::Write(const Entry& entry) {
  MutexLock lock(&mutex_);
  WriteLocked(entry, 0);
}

void AuditLog::WriteRefusal(const Entry& entry) {
  MutexLock lock(&mutex_);
  const int64_t second = absl::ToUnixSeconds(clock_->Steady());
  if (second != second_) {
    second_ = second;
    refusals_ = 0;
    if (omitted_ > 0) WriteLocked({.event = "omitted"}, std::exchange(omitted_, 0));
  }
  if (refusals_ == refusals_per_second_max_) {
    ++omitted_;
    return;
  }
  ++refusals_;
  WriteLocked(entry, 0);
}

void AuditLog::WriteLocked(const Entry& entry, uint64_t omitted) {
  nlohmann::ordered_json line;
  line["time"] = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", clock_->Wall(), absl::UTCTimeZone());
  for (const auto& [key, value] :
       {std::pair("event", entry.event), std::pair("principal", entry.principal), std::pair("peer", entry.peer),
        std::pair("method", entry.method), std::pair("namespace", entry.ns),
        std::pair("object_class", entry.object_class), std::pair("reason", entry.reason)}) {
    if (!value.empty()) line[key] = std::string(value);
  }
  if (omitted > 0) line["refusals"] = omitted;
  // Text that is no UTF-8 does not end the process.
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  try {
    file_->log(spdlog::details::log_msg("", spdlog::level::info, text));
    file_->flush();
  } catch (const std::exception& error) {
    const absl::Time now = clock_->Steady();
    if (now - complained_ < kComplainInterval) return;
    complained_ = now;
    Log(LogLevel::kError, "audit_log_failed", {{"why", error.what()}});
  }
}

}  // namespace holdfast::service
