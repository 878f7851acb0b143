#include "service/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "service/access/access_files.h"
#include "service/config_enums.h"
#include "service/ratelimit/rule_files.h"
#include "service/settings.h"
#include "service/tls.h"
#include "storage/backup/backup_list.h"
#include "storage/postgres/database_part.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

class Errors : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    errors_.push_back(absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message));
  }
  std::string Joined() const { return absl::StrJoin(errors_, "; "); }

 private:
  std::vector<std::string> errors_;
};

// Returns whether a field of HTTP can have this name, written as most are.
bool IsFieldName(absl::string_view name) {
  return !name.empty() && absl::c_all_of(name, [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

// Returns the host of ADDRESS:PORT; nothing, and a problem, if it is not that.
std::optional<std::string> HostOf(absl::string_view setting, absl::string_view listen, Problems* problems) {
  const size_t colon = listen.rfind(':');
  uint32_t port;
  if (colon != absl::string_view::npos && absl::SimpleAtoi(listen.substr(colon + 1), &port) && port <= 65535) {
    return std::string(listen.substr(0, colon));
  }
  problems->Add(setting, absl::StrCat("\"", listen, "\" is not ADDRESS:PORT"));
  return std::nullopt;
}

bool IsLoopback(const std::string& host) {
  in_addr address;
  return host == "localhost" || host == "[::1]" ||
         (inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

void CheckListen(const Config& config, Problems* problems) {
  const auto host = HostOf("listen", config.listen(), problems);
  if (!host || IsLoopback(*host) || config.has_tls() || config.insecure_listen()) return;
  problems->Add("listen", absl::StrCat("\"", config.listen(),
                                       "\" is no loopback address and there is no TLS; if that is meant, set "
                                       "insecure_listen: true"));
}

bool IsAddress(absl::string_view host) {
  in6_addr address;
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
  }
  return host == "localhost" || inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

void CheckMetrics(const config::v1::MetricsConfig& metrics, Problems* problems) {
  if (metrics.listen().empty()) return;
  const auto host = HostOf("metrics.listen", metrics.listen(), problems);
  if (!host) return;
  // The library of the endpoint takes lists of addresses, too.
  if (!IsAddress(*host)) {
    problems->Add("metrics.listen", absl::StrCat("\"", metrics.listen(), "\" has no IP address"));
  } else if (!IsLoopback(*host) && !metrics.insecure_listen()) {
    problems->Add("metrics.listen", absl::StrCat("\"", metrics.listen(),
                                                 "\" is no loopback address and the endpoint has no TLS; if that is "
                                                 "meant, set metrics.insecure_listen: true"));
  }
}

// Returns whether a page's origin can be this: a scheme and a host, and nothing behind them.
bool IsOrigin(absl::string_view origin) {
  const size_t scheme = origin.find("://");
  return origin == "*" || (scheme != absl::string_view::npos && scheme > 0 && origin.size() > scheme + 3 &&
                           origin.find_first_of("/ ,", scheme + 3) == absl::string_view::npos);
}

void CheckHttp(const Config& config, Problems* problems) {
  const auto& http = config.http();
  if (!http.listen().empty()) {
    const auto host = HostOf("http.listen", http.listen(), problems);
    if (host && !IsLoopback(*host) && !config.has_tls() && !http.insecure_listen()) {
      problems->Add("http.listen", absl::StrCat("\"", http.listen(),
                                                "\" is no loopback address and there is no TLS; if that is meant, set "
                                                "http.insecure_listen: true"));
    }
  }
  for (const std::string& origin : http.cors().allowed_origin()) {
    if (!IsOrigin(origin)) {
      problems->Add("http.cors.allowed_origin",
                    absl::StrCat("\"", origin, "\" is neither * nor like https://app.example.com"));
    }
  }
  for (const std::string& header : http.cors().allowed_header()) {
    if (!IsFieldName(header)) problems->Add("http.cors.allowed_header", absl::StrCat("\"", header, "\" is no name"));
  }
}

void CheckTraces(const config::v1::TracesConfig& traces, Problems* problems) {
  if (traces.endpoint().empty()) return;
  const auto host = HostOf("traces.endpoint", traces.endpoint(), problems);
  if (!host) return;
  if (host->empty()) {
    problems->Add("traces.endpoint", absl::StrCat("\"", traces.endpoint(), "\" has no host"));
  } else if (!IsLoopback(*host) && traces.ca_file().empty() && !traces.insecure()) {
    problems->Add("traces.endpoint", absl::StrCat("\"", traces.endpoint(),
                                                  "\" is no loopback address and there is no traces.ca_file, so the "
                                                  "spans have no TLS; if that is meant, set traces.insecure: true"));
  }
}

void CheckBackup(const Config& config, Problems* problems) {
  const auto& backup = config.backup();
  if (!backup.directory().empty()) {
    const absl::Status status = storage::CheckBackupDirectory(backup.directory(), config.data_dir());
    if (!status.ok()) problems->Add("backup.directory", status.message());
    return;
  }
  if (backup.archive_log()) problems->Add("backup.archive_log", "needs backup.directory");
  if (backup.every_ms() != 0) problems->Add("backup.every_ms", "needs backup.directory");
}

void CheckCluster(const Config& config, Problems* problems) {
  const auto& cluster = config.postgres().cluster();
  if (cluster.secret_file().empty()) {
    if (!cluster.address().empty()) problems->Add("postgres.cluster.address", "needs postgres.cluster.secret_file");
    if (!cluster.ca_file().empty()) problems->Add("postgres.cluster.ca_file", "needs postgres.cluster.secret_file");
    return;
  }
  if (config.postgres().database_size() == 0) problems->Add("postgres.cluster", "needs postgres.database");
  if (!cluster.address().empty()) {
    HostOf("postgres.cluster.address", cluster.address(), problems);
  } else if (config.listen().rfind("0.0.0.0:", 0) == 0 || config.listen().rfind("[::]:", 0) == 0 ||
             absl::EndsWith(config.listen(), ":0")) {
    problems->Add("postgres.cluster.address",
                  absl::StrCat("is empty, and other nodes can't reach this one at \"", config.listen(), "\" (listen)"));
  }
  if (config.has_tls() && cluster.ca_file().empty()) {
    problems->Add("postgres.cluster.ca_file", "is empty, and other nodes' certificates are to be checked against it");
  }
  if (!config.has_tls() && !cluster.ca_file().empty()) {
    problems->Add("postgres.cluster.ca_file", "needs tls, since nodes listen for each other as for clients");
  }
}

void CheckPostgres(const Config& config, Problems* problems) {
  const auto& postgres = config.postgres();
  if (postgres.database_size() > static_cast<int>(storage::postgres::kDatabasesMax)) {
    problems->Add("postgres.database",
                  absl::StrCat("there are ", postgres.database_size(), "; at most ", storage::postgres::kDatabasesMax));
  }
  absl::flat_hash_set<std::string> conninfos;
  for (const auto& database : postgres.database()) {
    const absl::Status status = storage::CheckPostgresConninfo(database.conninfo());
    if (!status.ok()) problems->Add("postgres.database.conninfo", status.message());
    if (!conninfos.insert(database.conninfo()).second) {
      problems->Add("postgres.database.conninfo", "two databases have the same");
    }
  }
  if (postgres.database_size() > 1 && config.actors().executors() % postgres.database_size() != 0) {
    problems->Add("actors.executors", absl::StrCat(config.actors().executors(), " is no multiple of the ",
                                                   postgres.database_size(), " databases (postgres.database)"));
  }
  if (postgres.database_size() > 0 && !config.backup().directory().empty()) {
    problems->Add("backup.directory", "with postgres.database the backups are those of the database");
  }
  CheckCluster(config, problems);
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text) {
  const absl::StatusOr<std::string> with_numbers = WithEnumNumbers(*Config::descriptor(), text);
  if (!with_numbers.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("configuration: ", with_numbers.status().message()));
  }
  Config config;
  Errors errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (!parser.ParseFromString(*with_numbers, &config)) {
    return absl::InvalidArgumentError(absl::StrCat("configuration: ", errors.Joined()));
  }
  return config;
}

absl::StatusOr<Config> ReadConfigFile(const std::string& path) {
  std::error_code error;
  std::stringstream text;
  std::ifstream file;
  if (std::filesystem::is_regular_file(path, error)) file.open(path);
  text << file.rdbuf();
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat("configuration: cannot read ", path, " as a file"));
  }
  absl::StatusOr<Config> config = ParseConfig(text.str());
  if (config.ok()) return config;
  return absl::Status(config.status().code(), absl::StrCat(path, ": ", config.status().message()));
}

absl::Status CompleteConfig(Config* config) {
  Problems problems;
  CompleteSettings(config, &problems);
  if (config->data_dir().empty()) problems.Add("data_dir", "is empty");
  if (!Config::LogLevel_IsValid(config->log_level())) {
    problems.Add("log_level", NotAnEnumValue(*Config::LogLevel_descriptor(), absl::StrCat(config->log_level())));
  }
  if (!Config::LogFormat_IsValid(config->log_format())) {
    problems.Add("log_format", NotAnEnumValue(*Config::LogFormat_descriptor(), absl::StrCat(config->log_format())));
  }
  problems.Add(CheckTlsSettings(*config));
  problems.Add(AccessFiles::Check(*config));
  problems.Add(RuleFiles::Check(config->rate_limit_service()));
  CheckListen(*config, &problems);
  CheckMetrics(config->metrics(), &problems);
  CheckHttp(*config, &problems);
  CheckTraces(config->traces(), &problems);
  CheckBackup(*config, &problems);
  CheckPostgres(*config, &problems);
  if (config->postgres().database_size() > 0) {
    // Objects in PostgreSQL have no families of their own, and no executor waits for a database.
    config->mutable_storage()->set_column_families_max(0);
    config->mutable_storage()->set_inline_commit_max_us(0);
  }
  if (config->actors().executors() == 0) {
    const int executors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4);
    // Each database has as many of them as the others.
    const int databases = std::max(1, config->postgres().database_size());
    config->mutable_actors()->set_executors((executors + databases - 1) / databases * databases);
  }
  return problems.ToStatus();
}

absl::Status SetLogLevel(absl::string_view name, Config* config) {
  const auto* const value = FindEnumValue(*Config::LogLevel_descriptor(), name);
  if (value == nullptr || value->number() == Config::LOG_LEVEL_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        absl::StrCat("log_level: ", NotAnEnumValue(*Config::LogLevel_descriptor(), name)));
  }
  config->set_log_level(static_cast<Config::LogLevel>(value->number()));
  return absl::OkStatus();
}

std::string ConfigText(const Config& config) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  return text;
}

}  // namespace holdfast::service
