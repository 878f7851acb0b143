// The audit log: a JSON object on each line of a file of its own.
//
//   {"time":"2026-01-02T03:04:05.678Z","event":"refused","principal":"web","peer":"ipv4:10.0.0.7:5123","method":
//    "holdfast.v1.CounterService.Increment","namespace":"shop","object_class":"Counter","reason":"PERMISSION_DENIED"}
//
// Events: `refused` (the credentials or the rights of a call), `admin` (an administrative method was admitted), `write`
// (an admitted write in a namespace of which the configuration wants them), `access` (the rules or credentials were
// changed, or why they were not), `omitted` (so many refusals had no line). A line has no names of objects, no values
// and no credentials; `reason` of a refusal may say more than the client was told.
//
// Durability: a line is handed to the system before the call goes on, and is synced with the system's own pace. A file
// that can't be written is reported in the server's log, once a minute, and stops no call.
// Bounds: refusals_per_second_max lines of refusals; files_max old files of file_bytes_max.
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_ACCESS_AUDIT_LOG_H_
#define HOLDFAST_SERVICE_ACCESS_AUDIT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/executor/clock.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/base/mutex.h"

namespace spdlog::sinks {
class sink;
}  // namespace spdlog::sinks

namespace holdfast::service {

class AuditLog {
 public:
  // The contents of a line. Empty texts are left out.
  struct Entry {
    absl::string_view event;
    absl::string_view principal = {};
    absl::string_view peer = {};
    absl::string_view method = {};
    absl::string_view ns = {};
    absl::string_view object_class = {};
    absl::string_view reason = {};
  };

  // Opens or makes the file. An error names audit.file. `clock` outlives the log.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const config::v1::AuditConfig& config,
                                                        const actors::Clock* clock);
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;
  ~AuditLog();

  void Write(const Entry& entry);
  // Writes the line of a refusal, unless this second has had its number of them.
  void WriteRefusal(const Entry& entry);
  // Returns whether the admitted writes in this namespace are to be logged.
  bool WantsWritesOf(absl::string_view ns) const;

 private:
  AuditLog(const config::v1::AuditConfig& config, const actors::Clock* clock);
  void WriteLocked(const Entry& entry, uint64_t omitted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const actors::Clock* const clock_;
  const int refusals_per_second_max_;
  const std::vector<std::string> writes_of_namespace_;
  Mutex mutex_;
  std::shared_ptr<spdlog::sinks::sink> file_ ABSL_GUARDED_BY(mutex_);
  // The steady second that is counted, and its refusals.
  int64_t second_ ABSL_GUARDED_BY(mutex_) = 0;
  int refusals_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t omitted_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time complained_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_AUDIT_LOG_H_
