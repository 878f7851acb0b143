// Keeps the rules of Envoy's rate limit service up to date with their files.
//
// Every kInterval a thread reads the files again. Once one of them has changed, and all of them are valid together, new
// rules take the place of the current ones, all at once. Otherwise the rules of before stay, and the log says why,
// once. SIGHUP has the same effect at once. A limit that a change leaves as it was keeps what is in use.
//
// Threading: any thread. Bounds: those of read_rules.h.

#ifndef HOLDFAST_SERVICE_RATELIMIT_RULE_FILES_H_
#define HOLDFAST_SERVICE_RATELIMIT_RULE_FILES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/access/reload_thread.h"
#include "service/metrics/cells.h"
#include "service/metrics/node_load.h"
#include "service/ratelimit/limit_plan.h"
#include "service/ratelimit/rules.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class RuleFiles {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);
  static constexpr int kFilesMax = 100;

  // Returns whether the server has the service.
  static bool Wanted(const config::v1::RateLimitServiceConfig& config) { return config.rules_file_size() > 0; }
  // Returns an error that names the setting; opens no file.
  static absl::Status Check(const config::v1::RateLimitServiceConfig& config);

  struct Counts {
    size_t domains = 0;
    size_t rules = 0;
  };
  // Reads files of rules that a server with this configuration would have. INVALID_ARGUMENT or NOT_FOUND has a line for
  // each problem: "FILE: line 3: descriptors[0].key: is missing".
  static absl::StatusOr<Counts> Validate(const std::vector<std::string>& paths,
                                         const config::v1::RateLimitServiceConfig& config);

  // Reads everything for the first time. Errors are those of Validate. `copies` is the number of threads that are to
  // count without sharing.
  static absl::StatusOr<std::unique_ptr<RuleFiles>> Open(const config::v1::RateLimitServiceConfig& config,
                                                         size_t copies);
  RuleFiles(const RuleFiles&) = delete;
  RuleFiles& operator=(const RuleFiles&) = delete;

  // Starts the thread that looks for changes.
  void Start();
  // Looks for changes now.
  void Reload();
  std::shared_ptr<const RuleSet> current() const;
  const LimitOptions& options() const { return options_; }

  // Counts the descriptors of a call.
  void Count(const DescriptorCounts& counts);
  RateLimitLoad load() const;

 private:
  RuleFiles(const config::v1::RateLimitServiceConfig& config, size_t copies)
      : paths_(config.rules_file().begin(), config.rules_file().end()),
        options_(LimitOptionsOf(config)),
        descriptors_(std::tuple_size_v<DescriptorCounts>, copies) {}

  const std::vector<std::string> paths_;
  const LimitOptions options_;
  Cells descriptors_;  // by DescriptorOutcome
  std::atomic<uint64_t> changes_ = 0;
  std::atomic<bool> refused_ = false;

  Mutex reload_mutex_;
  std::vector<std::string> texts_ ABSL_GUARDED_BY(reload_mutex_);  // of the current rules
  std::string problem_ ABSL_GUARDED_BY(reload_mutex_);  // what was not valid when it was read last; "": nothing

  mutable Mutex mutex_;
  std::shared_ptr<const RuleSet> current_ ABSL_GUARDED_BY(mutex_);

  ReloadThread thread_{kInterval, [this] { Reload(); }};  // ends first
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_RULE_FILES_H_
