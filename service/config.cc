#include "service/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "service/config_enums.h"

namespace holdfast::service {
namespace {

using config::v1::Config;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int64_t kKiB = 1 << 10;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;
constexpr int64_t kTiB = int64_t{1} << 40;

struct Setting {
  const char* section;  // "": none
  const char* name;
  int64_t least;
  int64_t most;
  int64_t by_default;
};

// The bounds and defaults that the comments of config.proto state.
constexpr Setting kSettings[] = {
    {"", "log_slow_call_ms", 0, 3'600'000, 100},
    {"server", "calls_max", 1, 1'000'000, 10'000},
    {"server", "stream_outstanding_max", 1, 10'000, 256},
    {"server", "message_bytes_max", 64 * kKiB, 64 * kMiB, 4 * kMiB},
    {"server", "drain_timeout_ms", 0, 600'000, 15'000},
    {"server", "alarm_watchers_max", 1, 100'000, 1'000},
    {"server", "connections_max", 0, 100'000, 0},
    {"server", "connection_streams_max", 1, 10'000, 128},
    {"server", "metadata_bytes_max", 4 * kKiB, kMiB, 16 * kKiB},
    {"server", "call_bytes_max", 16 * kMiB, kTiB, 512 * kMiB},
    {"server", "connection_bytes_max", 8 * kMiB, kTiB, 128 * kMiB},
    {"server", "grpc_bytes_max", 64 * kMiB, kTiB, kGiB},
    {"server", "reply_time_limit_ms", 100, 3'600'000, 60'000},
    {"server", "streams_max", 1, 1'000'000, 5'000},
    {"server", "stream_idle_timeout_ms", 100, 86'400'000, 600'000},
    {"server", "handshake_time_limit_ms", 100, 600'000, 20'000},
    {"server", "keepalive_min_interval_ms", 10, 3'600'000, 10'000},
    {"server", "keepalive_interval_ms", 100, 86'400'000, 60'000},
    {"server", "keepalive_timeout_ms", 100, 600'000, 20'000},
    {"actors", "executors", 0, 64, 0},
    {"actors", "io_threads", 1, 64, 2},
    {"actors", "mailbox_requests_max", 1, 100'000, 1'024},
    {"actors", "mailbox_bytes_max", 64 * kKiB, kGiB, 16 * kMiB},
    {"actors", "idle_timeout_ms", 10, 86'400'000, 10'000},
    {"actors", "load_timeout_ms", 10, 600'000, 30'000},
    {"actors", "turn_timeout_ms", 10, 600'000, 30'000},
    {"actors", "alarm_timeout_ms", 10, 3'600'000, 900'000},
    {"actors", "activation_bytes_max", kMiB, kTiB, 256 * kMiB},
    {"actors", "overdue_alarms_per_second", 1, 1'000'000, 10'000},
    {"actors", "rate_limit_windows_max", 1, 1'000'000, 1'000},
    {"actors", "rate_limit_log_requests_max", 250'000, 100'000'000, 1'000'000},
    {"storage", "column_families_max", 0, 4'096, 512},
    {"storage", "block_cache_bytes", kMiB, kTiB, 256 * kMiB},
    {"storage", "memtable_bytes", 4 * kMiB, 64 * kGiB, 256 * kMiB},
    {"storage", "wal_bytes_max", 4 * kMiB, 64 * kGiB, 512 * kMiB},
    {"storage", "turn_bytes_max", 8 * kMiB, kGiB, 64 * kMiB},
    {"storage", "pipeline_bytes_max", kMiB, 16 * kGiB, 256 * kMiB},
    {"storage", "disk_reserve_bytes", 0, kTiB, 256 * kMiB},
    {"storage", "inline_commit_max_us", 0, 100'000, 500},
    {"storage", "object_bytes_max", 1, kTiB, 10 * kGiB},
    {"storage", "request_record_age_ms", 100, 86'400'000, 600'000},
    {"storage", "request_record_bytes_max", kKiB, kTiB, 2 * kGiB},
    {"storage", "request_record_bytes_per_namespace_max", kKiB, kTiB, kGiB},
    {"storage", "open_tables_max", 0, 1'000'000, 0},
    {"sql", "threads", 1, 64, 2},
    {"sql", "time_limit_ms", 10, 600'000, 5'000},
    {"sql", "cache_bytes", 64 * kKiB, kGiB, 256 * kKiB},
    {"sql", "heap_bytes_max", 16 * kMiB, kTiB, 96 * kMiB},
    {"sql", "temp_bytes_max", kMiB, kTiB, 256 * kMiB},
    {"sql", "temp_bytes_of_all_max", kMiB, kTiB, kGiB},
    {"sql", "statement_bytes_max", 100, 1'000'000, 100'000},
    {"sql", "params_max", 1, 32'766, 100},
    {"sql", "columns_max", 1, 2'000, 100},
    {"sql", "like_pattern_bytes_max", 1, 50'000, 50},
    {"sql", "function_args_max", 1, 127, 32},
    {"sql", "transfer_time_limit_ms", 100, 86'400'000, 600'000},
    {"sql", "statements_max", 1, 1'000, 64},
    {"sql", "namespace_statements_max", 1, 1'000, 48},
    {"sql", "import_threads", 1, 16, 1},
    {"sql", "imports_max", 1, 1'000, 8},
    {"sql", "namespace_imports_max", 1, 1'000, 6},
    {"sql", "transfer_idle_limit_ms", 100, 86'400'000, 30'000},
    {"sql", "heap_bytes_of_all_max", 16 * kMiB, kTiB, 512 * kMiB},
    {"sql", "temp_files_max", 0, 100'000, 0},
};

class Errors : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    errors_.push_back(absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message));
  }
  std::string Joined() const { return absl::StrJoin(errors_, "; "); }

 private:
  std::vector<std::string> errors_;
};

// Collects the settings that are wrong, each with the reason.
class Problems {
 public:
  void Add(absl::string_view setting, absl::string_view problem) {
    problems_.push_back(absl::StrCat(setting, ": ", problem));
  }
  absl::Status ToStatus() const {
    if (problems_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("configuration: ", absl::StrJoin(problems_, "; ")));
  }

 private:
  std::vector<std::string> problems_;
};

void CompleteSetting(const Setting& setting, Config* config, Problems* problems) {
  Message* section = config;
  std::string name = setting.name;
  if (*setting.section != '\0') {
    const FieldDescriptor* const section_field = Config::descriptor()->FindFieldByName(setting.section);
    section = config->GetReflection()->MutableMessage(config, section_field);
    name = absl::StrCat(setting.section, ".", setting.name);
  }
  const FieldDescriptor* const field = section->GetDescriptor()->FindFieldByName(setting.name);
  const google::protobuf::Reflection* const reflection = section->GetReflection();
  const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  if (!reflection->HasField(*section, field)) {
    if (wide) {
      reflection->SetInt64(section, field, setting.by_default);
    } else {
      reflection->SetInt32(section, field, static_cast<int32_t>(setting.by_default));
    }
    return;
  }
  const int64_t value = wide ? reflection->GetInt64(*section, field) : reflection->GetInt32(*section, field);
  if (value >= setting.least && value <= setting.most) return;
  problems->Add(name, absl::StrCat(value, " is not from ", setting.least, " to ", setting.most));
}

void CheckListen(const Config& config, Problems* problems) {
  absl::string_view host = config.listen();
  const size_t colon = host.rfind(':');
  uint32_t port;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(host.substr(colon + 1), &port) || port > 65535) {
    problems->Add("listen", absl::StrCat("\"", config.listen(), "\" is not ADDRESS:PORT"));
    return;
  }
  host = host.substr(0, colon);
  in_addr address;
  const bool loopback =
      host == "localhost" || host == "[::1]" ||
      (inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
  if (!loopback && !config.insecure_listen()) {
    problems->Add("listen", absl::StrCat("\"", config.listen(),
                                         "\" is no loopback address and there is no TLS; if that is meant, set "
                                         "insecure_listen: true"));
  }
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
  if (!config->has_listen()) config->set_listen("127.0.0.1:50051");
  if (!config->has_data_dir()) config->set_data_dir("./data");
  if (config->log_level() == Config::LOG_LEVEL_UNSPECIFIED) config->set_log_level(Config::LOG_LEVEL_INFO);
  Problems problems;
  if (config->data_dir().empty()) problems.Add("data_dir", "is empty");
  if (!Config::LogLevel_IsValid(config->log_level())) {
    problems.Add("log_level", NotAnEnumValue(*Config::LogLevel_descriptor(), absl::StrCat(config->log_level())));
  }
  if (config->has_tls()) problems.Add("tls", "this version has no TLS");
  if (config->has_authorization()) problems.Add("authorization", "this version has no authorization");
  CheckListen(*config, &problems);
  for (const Setting& setting : kSettings) CompleteSetting(setting, config, &problems);
  if (config->actors().executors() == 0) {
    config->mutable_actors()->set_executors(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4));
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
