// Keeps the Access of a server up to date with the configuration and the files that this names.
//
// Every kInterval a thread reads them again and compares. Once one of them has changed, a new Access takes the place of
// the current one, with all of them; so no call is decided by a mixture. A file that is not valid keeps its last good
// contents, and the log says why, once; good changes of the others take effect meanwhile. So a token that is removed
// from its file stops working within two seconds, whatever is wrong with the rules. SIGHUP has the same effect at once.
//
// The configuration, with its rules and the names of the other files, counts as one file. It takes effect as a whole:
// if it names another file than before, and that one is not valid, the configuration of before stays.
//
// Threading: any thread. Bounds: the thread reads at most Tokens::kFileBytesMax and JwtVerifier's bound of key sets.

#ifndef HOLDFAST_SERVICE_ACCESS_ACCESS_FILES_H_
#define HOLDFAST_SERVICE_ACCESS_ACCESS_FILES_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/access/access.h"
#include "service/access/reload_thread.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class AccessFiles {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  // Reads the configuration as it is now.
  using ReadConfig = std::function<absl::StatusOr<config::v1::Config>()>;
  // Is told of each change: OK for a new Access; or what is not valid, while the last good contents of that stay.
  using OnChange = std::function<void(const absl::Status& status)>;

  // Returns whether there is anything to decide: `authentication`, `authorization` or `namespace`.
  static bool Wanted(const config::v1::Config& config);
  // Returns whether calls need credentials: with `authentication` or `authorization`.
  static bool Authenticates(const config::v1::Config& config);
  // Returns an error that names the setting if these parts of the configuration can't be; opens no file.
  static absl::Status Check(const config::v1::Config& config);

  // Reads everything for the first time. INVALID_ARGUMENT or NOT_FOUND names the setting, the file and the line.
  static absl::StatusOr<std::unique_ptr<AccessFiles>> Open(ReadConfig read_config, OnChange on_change);
  AccessFiles(const AccessFiles&) = delete;
  AccessFiles& operator=(const AccessFiles&) = delete;

  // Starts the thread that looks for changes.
  void Start();
  // Looks for changes now.
  void Reload();
  std::shared_ptr<const Access> current() const;
  // Returns the generation of the current one; costs one load.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  // The parts of a configuration that are valid.
  struct Settings {
    config::v1::AuthenticationConfig authentication;
    config::v1::AuthorizationConfig authorization;
    Quotas::Config namespaces;
    int64_t failed_checks_per_second_max = 0;
    bool authenticates = false;
  };
  // A file with its last good contents.
  struct File {
    std::string path;  // "": none was read
    std::string text;
  };
  // Everything that an Access is made of. All of it is valid.
  struct Sources {
    Settings settings;
    File tokens;
    File keys;
    // Returns one text that is equal if and only if everything is.
    std::string Joined() const;
  };

  AccessFiles(ReadConfig read_config, OnChange on_change)
      : read_config_(std::move(read_config)), on_change_(std::move(on_change)) {}
  absl::StatusOr<Settings> ReadSettings() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mutex_);
  // Reads the files that `settings` names into `*sources`. A file that is not valid keeps its contents, and adds to
  // `*problems`. Returns an error if it has none of this name.
  static absl::Status ReadFiles(const Settings& settings, Sources* sources, std::vector<std::string>* problems);
  // Makes the Access of the next generation the current one.
  absl::Status Set(const Sources& sources);

  const ReadConfig read_config_;
  const OnChange on_change_;
  Mutex reload_mutex_;
  Sources sources_ ABSL_GUARDED_BY(reload_mutex_);      // of the current Access
  std::string problem_ ABSL_GUARDED_BY(reload_mutex_);  // what was not valid when it was read last; "": nothing
  std::optional<bool> authenticates_ ABSL_GUARDED_BY(reload_mutex_);  // as the first that was read

  mutable Mutex mutex_;
  std::shared_ptr<const Access> current_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> generation_ = 0;

  ReloadThread thread_{kInterval, [this] { Reload(); }};  // ends first
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_ACCESS_FILES_H_
