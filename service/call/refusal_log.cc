#include "service/call/refusal_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

}  // namespace

void RefusalLog::Refused(absl::string_view of, const absl::Status& why) {
  const v1::ErrorReason reason = actors::ReasonOf(why);
  OfReason& entry = reasons_[static_cast<size_t>(reason)];
  entry.count.fetch_add(1, std::memory_order_relaxed);
  const int64_t now_us = absl::ToUnixMicros(clock_->Steady());
  int64_t next_us = entry.next_us.load(std::memory_order_relaxed);
  if (now_us < next_us) return;
  // One thread writes the line.
  const int64_t after_us = now_us + absl::ToInt64Microseconds(kInterval);
  if (!entry.next_us.compare_exchange_strong(next_us, after_us, std::memory_order_relaxed)) return;
  Log(LogLevel::kWarning, "refused",
      {{"reason", std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_"))},
       {"count", absl::StrCat(entry.count.exchange(0, std::memory_order_relaxed))},
       {"of", std::string(of)}});
}

}  // namespace holdfast::service
