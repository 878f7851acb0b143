#include "tests/collector/collector_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/shared/free_port.h"
#include "tests/shared/start_process.h"
#include "tests/unit/storage/files.h"

namespace holdfast::testing {
namespace {

using nlohmann::json;
using storage::ReadFile;
using storage::WriteFile;

constexpr absl::Duration kStartMax = absl::Seconds(30);
constexpr absl::Duration kSpansMax = absl::Seconds(60);
constexpr absl::Duration kStep = absl::Milliseconds(50);

// Returns the list under `key`; an empty one if the collector left it out, as OTLP in JSON does with what is empty.
json ListOf(const json& object, const char* key) { return object.value(key, json::array()); }

// Returns a 64-bit integer, which JSON has as a text.
uint64_t Int64Of(const json& object, const char* key) {
  uint64_t value = 0;
  (void)absl::SimpleAtoi(object.value(key, ""), &value);
  return value;
}

std::map<std::string, std::string> AttributesOf(const json& object) {
  std::map<std::string, std::string> attributes;
  for (const json& attribute : ListOf(object, "attributes")) {
    const json& value = attribute.at("value");
    attributes[attribute.at("key")] = value.contains("intValue") ? value["intValue"] : value.at("stringValue");
  }
  return attributes;
}

WrittenSpan SpanOf(const json& span) {
  return {.name = span.at("name"),
          .trace_id = span.at("traceId"),
          .span_id = span.at("spanId"),
          .parent_span_id = span.value("parentSpanId", ""),
          .trace_state = span.value("traceState", ""),
          .kind = span.value("kind", 0),
          .status_code = span.value("status", json::object()).value("code", 0),
          .start_unix_nano = Int64Of(span, "startTimeUnixNano"),
          .end_unix_nano = Int64Of(span, "endTimeUnixNano"),
          .attributes = AttributesOf(span)};
}

void AddExport(const json& exported, WrittenSpans* spans) {
  for (const json& of_resource : ListOf(exported, "resourceSpans")) {
    const auto resource = AttributesOf(of_resource.at("resource"));
    for (const json& of_scope : ListOf(of_resource, "scopeSpans")) {
      const std::string scope = of_scope.at("scope").value("name", "");
      for (const json& one : ListOf(of_scope, "spans")) {
        WrittenSpan span = SpanOf(one);
        span.resource = resource;
        span.scope = scope;
        spans->push_back(std::move(span));
      }
    }
  }
}

}  // namespace

CollectorProcess::CollectorProcess(std::string directory, const std::optional<Certificate>& certificate)
    : directory_(std::move(directory)), port_(process::FreePort()) {
  if (access(COLLECTOR_PATH, X_OK) != 0) {
    std::fprintf(stderr, "there is no %s: run tests/collector/build.sh\n", COLLECTOR_PATH);
    std::abort();
  }
  if (certificate) {
    const std::string certificate_path = directory_ + "/collector.crt";
    const std::string key_path = directory_ + "/collector.key";
    WriteFile(certificate_path, certificate->certificate);
    WriteFile(key_path, certificate->key);
    tls_settings_ = absl::StrCat(", tls: {cert_file: ", certificate_path, ", key_file: ", key_path, "}");
  }
}

CollectorProcess::~CollectorProcess() {
  if (pid_ > 0) End(SIGKILL);
}

std::string CollectorProcess::FileOf(int start) const { return absl::StrCat(directory_, "/spans-", start, ".json"); }

void CollectorProcess::Start() {
  ++starts_;
  const std::string config = directory_ + "/collector.yaml";
  WriteFile(config, absl::StrCat("receivers: {otlp: {protocols: {grpc: {endpoint: \"127.0.0.1:", port_, "\"",
                                 tls_settings_, "}}}}\n", "exporters: {file: {path: ", FileOf(starts_),
                                 ", flush_interval: 100ms}}\n", "service:\n",
                                 // Without this the collector opens a port for metrics of its own.
                                 "  telemetry: {metrics: {level: none}}\n",
                                 "  pipelines: {traces: {receivers: [otlp], exporters: [file]}}\n"));
  unlink(LogPath().c_str());
  pid_ = process::StartProcess({.arguments = {COLLECTOR_PATH, "--config", config}, .output_path = LogPath()});
  const absl::Time until = absl::Now() + kStartMax;
  while (!absl::StrContains(ReadFile(LogPath()), "Everything is ready")) {
    int status;
    if (absl::Now() > until || waitpid(pid_, &status, WNOHANG) == pid_) {
      std::fprintf(stderr, "the collector is not ready:\n%s\n", ReadFile(LogPath()).c_str());
      std::abort();
    }
    absl::SleepFor(kStep);  // no event tells that a process has started
  }
}

void CollectorProcess::End(int signal) {
  kill(pid_, signal);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
}

WrittenSpans CollectorProcess::Spans() const {
  WrittenSpans spans;
  for (int start = 1; start <= starts_; ++start) {
    const std::string text = ReadFile(FileOf(start));
    // The text after the last end of a line is still being written.
    std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
    lines.pop_back();
    for (const absl::string_view line : lines) AddExport(json::parse(line), &spans);
  }
  return spans;
}

WrittenSpans CollectorProcess::WaitFor(size_t spans) const {
  const absl::Time until = absl::Now() + kSpansMax;
  while (true) {
    WrittenSpans written = Spans();
    if (written.size() >= spans || absl::Now() > until) return written;
    absl::SleepFor(kStep);  // no event tells that another process has written
  }
}

}  // namespace holdfast::testing
