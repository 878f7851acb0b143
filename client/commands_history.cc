// admin history: the main series of the last 15 minutes, a line for each point, at most 80 columns wide.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/commands.h"

namespace holdfast::client {
namespace {

using v1::AdminService;

// Returns a number that is not negative in at most five characters: "0.5", "12.3", "4.5K", "123M".
std::string Short(double value, double step) {
  constexpr const char* kUnits[] = {"", "K", "M", "G", "T"};
  size_t unit = 0;
  // A number that would be rounded to the next unit is of that unit.
  while (unit + 1 < std::size(kUnits) && value >= step - 0.5) {
    value /= step;
    ++unit;
  }
  return absl::StrFormat("%.*f%s", value < 99.95 && value != 0 ? 1 : 0, value, kUnits[unit]);
}

std::string Short(const google::protobuf::Duration& duration) {
  return ShortDuration(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

std::string TimeOfDay(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%H:%M:%S", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

void PrintHistory(const v1::GetHistoryResponse& history, TextOutput& text) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::HistoryPoint& point : history.points()) {
    rows.push_back({TimeOfDay(point.time()), Short(point.requests_per_second(), 1000),
                    Short(point.errors_per_second(), 1000), Short(point.refusals_per_second(), 1000),
                    Short(point.request_p50()), Short(point.request_p99()), Short(point.commits_per_second(), 1000),
                    Short(point.commit_p99()), Short(point.log_bytes_per_second(), 1024),
                    absl::StrFormat("%.2f", point.cpu()), Short(static_cast<double>(point.resident_bytes()), 1024)});
  }
  if (rows.empty()) return text.Line("there is no point yet; one comes every 10 s");
  text.Line("10 s a line, until TIME (UTC). A second: requests (REQ), errors, refusals,");
  text.Line("commits (COMM), bytes of the log. P50, P99: of requests; C99: of commits");
  text.Table({"TIME", "REQ", "ERR", "REF", "P50", "P99", "COMM", "C99", "LOG", "CPU", "MEM"}, rows);
}

}  // namespace

void AddHistoryCommand(CommandGroup& admin) {
  admin.Add(Unary<&AdminService::Stub::GetHistory>{
      .name = "history",
      .help = "Print the main series of the last 15 minutes, a line for each 10 s",
      .kind = CallKind::kIdempotent,
      .print = [](const auto&, const auto& response, TextOutput& text) { PrintHistory(response, text); },
  });
}

}  // namespace holdfast::client
