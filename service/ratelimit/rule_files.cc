#include "service/ratelimit/rule_files.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/access/small_file.h"
#include "service/call/request_object.h"
#include "service/ratelimit/read_rules.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

// Reads the files; the error has a line for each that can't be read.
absl::StatusOr<std::vector<std::string>> ReadFiles(const std::vector<std::string>& paths) {
  std::vector<std::string> texts;
  std::vector<std::string> problems;
  absl::StatusCode code = absl::StatusCode::kOk;
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadSmallFile(path, kRulesFileBytesMax);
    if (text.ok()) {
      texts.push_back(*std::move(text));
    } else {
      code = text.status().code();
      problems.push_back(absl::StrCat(path, ": ", text.status().message()));
    }
  }
  if (!problems.empty()) return absl::Status(code, absl::StrJoin(problems, "\n"));
  return texts;
}

// Makes one set of rules of all files.
absl::StatusOr<RuleReader> ReadAll(const std::vector<std::string>& paths, const std::vector<std::string>& texts,
                                   v1::RateLimitAlgorithm by_default) {
  RuleReader reader(by_default);
  std::vector<std::string> problems;
  for (size_t i = 0; i < paths.size() && problems.size() < kProblemsMax; ++i) {
    for (const std::string& problem : reader.Read(texts[i])) {
      problems.push_back(absl::StrCat(paths[i], ": ", problem));
    }
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return reader;
}

}  // namespace

absl::Status RuleFiles::Check(const config::v1::RateLimitServiceConfig& config) {
  constexpr char kNamespace[] = "rate_limit_service.namespace";
  if (config.rules_file_size() > kFilesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("rate_limit_service.rules_file: there are ", config.rules_file_size(), "; at most ", kFilesMax));
  }
  for (const std::string& path : config.rules_file()) {
    if (path.empty()) return absl::InvalidArgumentError("rate_limit_service.rules_file: is empty");
  }
  if (config.namespace_().empty()) return absl::InvalidArgumentError(absl::StrCat(kNamespace, ": is empty"));
  if (const absl::Status status = CheckNamespace(config.namespace_(), kNamespace); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kNamespace, ": \"", config.namespace_(), "\" is no namespace"));
  }
  if (!config::v1::RateLimitServiceConfig::Algorithm_IsValid(config.default_algorithm())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rate_limit_service.default_algorithm: ", static_cast<int>(config.default_algorithm()), " is none"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RuleFiles::Counts> RuleFiles::Validate(const std::vector<std::string>& paths,
                                                      const config::v1::RateLimitServiceConfig& config) {
  const absl::StatusOr<std::vector<std::string>> texts = ReadFiles(paths);
  if (!texts.ok()) return texts.status();
  const absl::StatusOr<RuleReader> reader = ReadAll(paths, *texts, LimitOptionsOf(config).algorithm);
  if (!reader.ok()) return reader.status();
  return Counts{.domains = reader->domains(), .rules = reader->rules()};
}

absl::StatusOr<std::unique_ptr<RuleFiles>> RuleFiles::Open(const config::v1::RateLimitServiceConfig& config,
                                                           size_t copies) {
  std::unique_ptr<RuleFiles> files(new RuleFiles(config, copies));
  MutexLock reload_lock(&files->reload_mutex_);
  absl::StatusOr<std::vector<std::string>> texts = ReadFiles(files->paths_);
  if (!texts.ok()) return texts.status();
  absl::StatusOr<RuleReader> reader = ReadAll(files->paths_, *texts, files->options_.algorithm);
  if (!reader.ok()) return reader.status();
  files->texts_ = *std::move(texts);
  MutexLock lock(&files->mutex_);
  files->current_ = std::make_shared<const RuleSet>(reader->Take());
  return files;
}

void RuleFiles::Start() { thread_.Start("rule files"); }

void RuleFiles::Reload() {
  MutexLock reload_lock(&reload_mutex_);
  absl::StatusOr<std::vector<std::string>> texts = ReadFiles(paths_);
  absl::Status status = texts.status();
  if (status.ok() && *texts != texts_) {
    absl::StatusOr<RuleReader> reader = ReadAll(paths_, *texts, options_.algorithm);
    status = reader.status();
    if (status.ok()) {
      texts_ = *std::move(texts);
      Log(LogLevel::kInfo, "rate_limit_rules_changed",
          {{"domains", absl::StrCat(reader->domains())}, {"rules", absl::StrCat(reader->rules())}});
      changes_.fetch_add(1, std::memory_order_relaxed);
      auto rules = std::make_shared<const RuleSet>(reader->Take());
      MutexLock lock(&mutex_);
      current_ = std::move(rules);
    }
  }
  const std::string problem(status.message());
  if (problem == problem_) return;
  problem_ = problem;
  refused_.store(!problem.empty(), std::memory_order_relaxed);
  if (problem.empty()) return Log(LogLevel::kInfo, "rate_limit_rules_valid");
  Log(LogLevel::kWarning, "rate_limit_rules_not_changed", {{"why", problem}, {"what", "the rules of before stay"}});
}

void RuleFiles::Count(const DescriptorCounts& counts) {
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) descriptors_.Add(i, counts[i]);
  }
}

RateLimitLoad RuleFiles::load() const {
  RateLimitLoad load{.descriptors = {},
                     .rule_changes = changes_.load(std::memory_order_relaxed),
                     .rules_refused = refused_.load(std::memory_order_relaxed)};
  for (size_t i = 0; i < load.descriptors.size(); ++i) load.descriptors[i] = descriptors_.Sum(i);
  return load;
}

std::shared_ptr<const RuleSet> RuleFiles::current() const {
  MutexLock lock(&mutex_);
  return current_;
}

}  // namespace holdfast::service
