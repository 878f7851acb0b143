// holdfastd: the server.

#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "service/config.h"
#include "service/descriptors.h"
#include "service/move_data.h"
#include "service/notify.h"
#include "service/open_store.h"
#include "service/ratelimit/rule_files.h"
#include "service/server.h"
#include "service/settings.h"
#include "storage/base/log.h"

namespace {

using holdfast::Log;
using holdfast::LogLevel;
using holdfast::config::v1::Config;

LogLevel LevelOf(const Config& config) {
  switch (config.log_level()) {
    case Config::LOG_LEVEL_DEBUG:
      return LogLevel::kDebug;
    case Config::LOG_LEVEL_WARNING:
      return LogLevel::kWarning;
    case Config::LOG_LEVEL_ERROR:
      return LogLevel::kError;
    default:
      return LogLevel::kInfo;
  }
}

holdfast::LogFormat FormatOf(const Config& config) {
  const bool json = config.log_format() == Config::LOG_FORMAT_JSON ||
                    (config.log_format() == Config::LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 0);
  return json ? holdfast::LogFormat::kJson : holdfast::LogFormat::kText;
}

void Warn(const Config& config) {
  if (config.insecure_listen() && !config.has_tls()) {
    Log(LogLevel::kWarning, "insecure_listen",
        {{"listen", config.listen()}, {"what", "calls and credentials can be read on their way"}});
  }
  if (config.metrics().insecure_listen()) {
    Log(LogLevel::kWarning, "metrics_insecure_listen",
        {{"listen", config.metrics().listen()}, {"what", "anyone who reaches it may read the metrics"}});
  }
  if (config.testing().sync_off()) {
    Log(LogLevel::kWarning, "sync_off", {{"what", "acknowledged writes can be lost; for crash tests only"}});
  }
  if (config.testing().lose_unsynced()) {
    Log(LogLevel::kWarning, "lose_unsynced",
        {{"what", "unsynced writes are kept from the disk; for crash tests only"}});
  }
  if (config.testing().fence_off()) {
    Log(LogLevel::kWarning, "fence_off",
        {{"what", "commits have an effect though another node has taken over; for tests of clusters only"}});
  }
}

// Tells systemd, if it started the process and wants to know.
void Notify(absl::string_view state) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread changes the environment.
  const char* socket = std::getenv("NOTIFY_SOCKET");
  const absl::Status status = holdfast::service::NotifyServiceManager(socket == nullptr ? "" : socket, state);
  if (!status.ok())
    Log(LogLevel::kWarning, "not_notified", {{"state", std::string(state)}, {"status", status.ToString()}});
}

// Writes gRPC's messages to the server's own log.
void LogGrpc(gpr_log_func_args* args) {
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug, "grpc",
      {{"message", args->message}});
}

// Protobuf tells of each text in a request that is no UTF-8, which the answer tells its client.
void LogProtobuf(google::protobuf::LogLevel level, const char*, int, const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL) Log(LogLevel::kError, "protobuf", {{"message", message}});
}

// Returns the default of a setting that is not a number, for the help.
std::string DefaultText(const char* name) {
  return holdfast::service::SettingOf(*Config::descriptor()->FindFieldByName(name)).default_text();
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "holdfastd: %s\n", std::string(status.message()).c_str());
  return 1;
}

// The configuration from the command line and the file together, complete and checked.
struct Arguments {
  std::string config_path;
  std::string listen;
  std::string data_dir;
  std::string log_level;
  std::string node;
  std::string cluster_address;
  std::string restore;
  std::string at;
  std::string move_data;
  std::string move_data_back;
  std::vector<std::string> rules;  // to be validated
  bool init_cluster = false;
};
absl::StatusOr<Config> EffectiveConfig(const Arguments& arguments) {
  absl::StatusOr<Config> config = Config();
  if (!arguments.config_path.empty()) config = holdfast::service::ReadConfigFile(arguments.config_path);
  if (!config.ok()) return config;
  if (!arguments.listen.empty()) config->set_listen(arguments.listen);
  if (!arguments.data_dir.empty()) config->set_data_dir(arguments.data_dir);
  if (!arguments.node.empty()) config->mutable_postgres()->set_node(arguments.node);
  if (!arguments.cluster_address.empty()) {
    config->mutable_postgres()->mutable_cluster()->set_address(arguments.cluster_address);
  }
  if (!arguments.log_level.empty()) {
    absl::Status status = holdfast::service::SetLogLevel(arguments.log_level, &*config);
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat("--log-level: ", status.message()));
  }
  if (absl::Status status = holdfast::service::CompleteConfig(&*config); !status.ok()) return status;
  return config;
}

// Prints the configuration that the server would use, and opens nothing.
int CheckConfig(Config config) {
  const int64_t descriptors = holdfast::service::RaiseDescriptorLimit();
  absl::Status status = holdfast::service::DivideDescriptors(descriptors, &config);
  if (!status.ok()) return Fail(status);
  std::fputs(holdfast::service::ConfigText(config).c_str(), stdout);
  return 0;
}

// Says whether a server with this configuration would take the rules.
int ValidateRules(const Config& config, const std::vector<std::string>& paths) {
  const auto counts = holdfast::service::RuleFiles::Validate(paths, config.rate_limit_service());
  if (!counts.ok()) {
    std::fprintf(stderr, "%s\n", std::string(counts.status().message()).c_str());
    return 1;
  }
  std::printf("valid: %zu domains, %zu rules\n", counts->domains, counts->rules);
  return 0;
}

// Restores the store instead of serving.
int RestoreAndEnd(const Config& config, const Arguments& arguments) {
  std::optional<absl::Time> at;
  if (!arguments.at.empty()) {
    absl::Time time;
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, arguments.at, &time, &error)) {
      return Fail(absl::InvalidArgumentError(
          absl::StrCat("--at: \"", arguments.at, "\" is not a time as 2026-01-02T03:04:05Z: ", error)));
    }
    at = time;
  }
  const absl::Status status = holdfast::service::RestoreStore(config, arguments.restore, at);
  if (!status.ok()) return Fail(absl::Status(status.code(), absl::StrCat("--restore: ", status.message())));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at each lock that gRPC takes; this turns that off.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  Arguments arguments;
  bool check_config = false;
  CLI::App app("The Holdfast server: durable objects over gRPC.", "holdfastd");
  app.set_version_flag("--version", HOLDFAST_VERSION);
  app.add_option("--config", arguments.config_path,
                 "Configuration file, protobuf text format of holdfast.config.v1.Config")
      ->option_text("FILE");
  app.add_option("--listen", arguments.listen, "Where to serve; overrides the file. Default " + DefaultText("listen"))
      ->option_text("ADDRESS:PORT");
  app.add_option("--data-dir", arguments.data_dir,
                 "Where the data is; overrides the file. Default " + DefaultText("data_dir"))
      ->option_text("DIRECTORY");
  app.add_option("--log-level", arguments.log_level,
                 "DEBUG, INFO, WARNING or ERROR; overrides the file. Default " + DefaultText("log_level"))
      ->option_text("LEVEL");
  app.add_option("--node", arguments.node,
                 "The name of this node of its cluster (postgres.node); overrides the file, which nodes may share so")
      ->option_text("NAME");
  app.add_option("--cluster-address", arguments.cluster_address,
                 "Where other nodes reach this one (postgres.cluster.address); overrides the file")
      ->option_text("HOST:PORT");
  app.add_flag("--check-config", check_config,
               "Print the complete configuration, or what is wrong with it, and exit with 0 or 1; opens nothing");
  app.add_option("--validate-rules", arguments.rules,
                 "Say what is wrong with these files of rules for Envoy's rate limit service, if anything, and exit "
                 "with 0 or 1; opens nothing else")
      ->option_text("FILE...");
  auto* const restore = app.add_option("--restore", arguments.restore,
                                       "Make the data directory, which must be new, from the newest backup in this "
                                       "directory, and exit")
                            ->option_text("DIRECTORY");
  app.add_option("--at", arguments.at, "With --restore: bring back this moment, a time as 2026-01-02T03:04:05Z")
      ->option_text("TIME")
      ->needs(restore);
  auto* const move_data =
      app.add_option("--move-data", arguments.move_data,
                     "Copy all objects of this data directory into the database of the configuration, which must have "
                     "none, and exit; no server may run on either. Begin it again if it was cut off")
          ->option_text("DIRECTORY")
          ->excludes(restore);
  auto* const move_data_back = app.add_option("--move-data-back", arguments.move_data_back,
                                              "Copy all objects of the database of the configuration into this data "
                                              "directory, which must be new, and exit; no server may run")
                                   ->option_text("DIRECTORY")
                                   ->excludes(restore)
                                   ->excludes(move_data);
  app.add_flag(
         "--init-cluster", arguments.init_cluster,
         "Make the tables of a cluster in the database of the configuration, and exit; changes no tables that are "
         "there")
      ->excludes(restore)
      ->excludes(move_data)
      ->excludes(move_data_back);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  const absl::StatusOr<Config> config = EffectiveConfig(arguments);
  if (!config.ok()) return Fail(config.status());
  if (check_config) return CheckConfig(*config);
  if (!arguments.rules.empty()) return ValidateRules(*config, arguments.rules);
  holdfast::SetLogLevel(LevelOf(*config));
  holdfast::SetLogFormat(FormatOf(*config));
  if (!arguments.restore.empty()) return RestoreAndEnd(*config, arguments);
  if (arguments.init_cluster) {
    const absl::Status status = holdfast::service::InitCluster(*config);
    if (!status.ok()) return Fail(absl::Status(status.code(), absl::StrCat("--init-cluster: ", status.message())));
    return 0;
  }
  if (!arguments.move_data.empty()) {
    const absl::Status status = holdfast::service::MoveDataIn(*config, arguments.move_data);
    if (!status.ok()) return Fail(absl::Status(status.code(), absl::StrCat("--move-data: ", status.message())));
    return 0;
  }
  if (!arguments.move_data_back.empty()) {
    const absl::Status status = holdfast::service::MoveDataOut(*config, arguments.move_data_back);
    if (!status.ok()) return Fail(absl::Status(status.code(), absl::StrCat("--move-data-back: ", status.message())));
    return 0;
  }
  gpr_set_log_function(LogGrpc);
  google::protobuf::SetLogHandler(LogProtobuf);
  Warn(*config);

  // Every thread made from here on leaves these signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto on_disk_failure = [](const absl::Status& status) {
    Log(LogLevel::kError, "commit_failed", {{"status", status.ToString()}});
    // The waiting calls have their errors. Their replies get a moment to leave; then the process ends without another
    // write.
    alarm(1);
  };
  auto server = holdfast::service::Server::Start(*config, on_disk_failure,
                                                 {.read_config = [&arguments] { return EffectiveConfig(arguments); }});
  if (!server.ok()) return Fail(server.status());
  Log(LogLevel::kInfo, "serving", {{"listen", (*server)->address()}, {"data_dir", config->data_dir()}});
  Notify("READY=1");

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) (*server)->Reload();
  Log(LogLevel::kInfo, "draining", {{"signal", absl::StrCat(signal)}});
  Notify("STOPPING=1");
  (*server)->Drain();
  server->reset();
  Log(LogLevel::kInfo, "stopped");
  return 0;
}
