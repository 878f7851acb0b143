#include "service/access/access_files.h"

#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/access/small_file.h"
#include "storage/base/log.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

constexpr char kDefaultClaim[] = "sub";

absl::Status Problem(absl::string_view setting, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(setting, ": ", problem));
}

absl::Status Named(absl::string_view setting, const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(setting, ": ", path, ": ", status.message()));
}

}  // namespace

bool AccessFiles::Wanted(const Config& config) { return Authenticates(config) || config.namespace__size() > 0; }

bool AccessFiles::Authenticates(const Config& config) {
  return config.has_authentication() || config.has_authorization();
}

absl::Status AccessFiles::Check(const Config& config) {
  if (absl::Status status = Quotas::Check(config.namespace_()); !status.ok()) return status;
  if (!Authenticates(config)) return absl::OkStatus();
  const auto& authentication = config.authentication();
  if (authentication.has_jwt()) {
    const auto& jwt = authentication.jwt();
    for (const auto& [field, value] : {std::pair("issuer", &jwt.issuer()), std::pair("audience", &jwt.audience()),
                                       std::pair("jwks_file", &jwt.jwks_file())}) {
      if (value->empty()) return Problem(absl::StrCat("authentication.jwt.", field), "is empty");
    }
  }
  if (authentication.token_file().empty() && !authentication.has_jwt() && config.tls().client_ca_file().empty()) {
    return Problem(
        config.has_authentication() ? "authentication" : "authorization",
        "nobody could call: there is no authentication.token_file, authentication.jwt or tls.client_ca_file");
  }
  return Policy::Compile(config.authorization()).status();
}

std::string AccessFiles::Sources::Joined() const {
  std::string quotas;
  for (const auto& one : settings.namespaces) absl::StrAppend(&quotas, one.SerializeAsString(), "\n");
  return absl::StrCat(settings.authentication.SerializeAsString(), "\n", settings.authorization.SerializeAsString(),
                      "\n", quotas, "\n", settings.failed_checks_per_second_max, "\n", tokens.text.size(), "\n",
                      tokens.text, "\n", keys.text);
}

absl::StatusOr<AccessFiles::Settings> AccessFiles::ReadSettings() const {
  const absl::StatusOr<Config> config = read_config_();
  if (!config.ok()) return config.status();
  if (authenticates_.has_value() && *authenticates_ != Authenticates(*config)) {
    return Problem("authentication", "to begin or to end to ask for credentials takes a restart");
  }
  if (absl::Status status = Check(*config); !status.ok()) return status;
  return Settings{.authentication = config->authentication(),
                  .authorization = config->authorization(),
                  .namespaces = config->namespace_(),
                  .failed_checks_per_second_max = config->server().failed_token_checks_per_second_max(),
                  .authenticates = Authenticates(*config)};
}

absl::Status AccessFiles::ReadFiles(const Settings& settings, Sources* sources, std::vector<std::string>* problems) {
  const auto read = [problems](absl::string_view setting, const std::string& path, size_t bytes_max,
                               absl::FunctionRef<absl::Status(const std::string&)> check, File* file) {
    if (path.empty()) {
      *file = {};
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> text = ReadSmallFile(path, bytes_max);
    if (text.ok() && path == file->path && *text == file->text) return absl::OkStatus();
    absl::Status status = text.status();
    if (status.ok()) status = check(*text);
    if (status.ok()) {
      *file = {path, *std::move(text)};
      return absl::OkStatus();
    }
    status = Named(setting, path, status);
    if (path != file->path) return status;
    problems->emplace_back(status.message());
    return absl::OkStatus();
  };
  absl::Status status = read(
      "authentication.token_file", settings.authentication.token_file(), Tokens::kFileBytesMax,
      [](const std::string& text) { return Tokens::Parse(text).status(); }, &sources->tokens);
  if (!status.ok()) return status;
  return read(
      "authentication.jwt.jwks_file", settings.authentication.jwt().jwks_file(), KeySet::kBytesMax,
      [](const std::string& text) { return KeySet::Parse(text).status(); }, &sources->keys);
}

absl::Status AccessFiles::Set(const Sources& sources) {
  const Settings& settings = sources.settings;
  Access::Parts parts;
  parts.authenticates = settings.authenticates;
  if (!settings.namespaces.empty()) parts.quotas = std::make_unique<Quotas>(settings.namespaces);
  absl::StatusOr<Tokens> tokens = Tokens::Parse(sources.tokens.text);
  if (!tokens.ok()) {
    return Named("authentication.token_file", settings.authentication.token_file(), tokens.status());
  }
  parts.tokens = *std::move(tokens);
  if (settings.authentication.has_jwt()) {
    const auto& jwt = settings.authentication.jwt();
    absl::StatusOr<JwtVerifier> verifier =
        JwtVerifier::Create({.issuer = jwt.issuer(),
                             .audience = jwt.audience(),
                             .principal_claim = jwt.principal_claim().empty() ? kDefaultClaim : jwt.principal_claim()},
                            sources.keys.text);
    if (!verifier.ok()) return Named("authentication.jwt.jwks_file", jwt.jwks_file(), verifier.status());
    if (!verifier->ignored_keys().empty()) {
      Log(LogLevel::kWarning, "jwt_keys_left_out", {{"keys", absl::StrJoin(verifier->ignored_keys(), "; ")}});
    }
    parts.jwt = *std::move(verifier);
    parts.failed_checks_per_second_max = settings.failed_checks_per_second_max;
  }
  absl::StatusOr<Policy> policy = Policy::Compile(settings.authorization);
  if (!policy.ok()) return policy.status();
  parts.policy = *std::move(policy);
  const uint64_t generation = generation_ + 1;
  auto access = std::make_shared<const Access>(std::move(parts), generation);
  MutexLock lock(&mutex_);
  current_ = std::move(access);
  generation_.store(generation, std::memory_order_release);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<AccessFiles>> AccessFiles::Open(ReadConfig read_config, OnChange on_change) {
  std::unique_ptr<AccessFiles> files(new AccessFiles(std::move(read_config), std::move(on_change)));
  MutexLock lock(&files->reload_mutex_);
  absl::StatusOr<Settings> settings = files->ReadSettings();
  if (!settings.ok()) return settings.status();
  Sources sources;
  std::vector<std::string> problems;  // there is nothing yet that could stay
  if (absl::Status status = ReadFiles(*settings, &sources, &problems); !status.ok()) return status;
  sources.settings = *std::move(settings);
  if (absl::Status status = files->Set(sources); !status.ok()) return status;
  files->authenticates_ = sources.settings.authenticates;
  files->sources_ = std::move(sources);
  return files;
}

void AccessFiles::Start() { thread_.Start("access files"); }

void AccessFiles::Reload() {
  MutexLock lock(&reload_mutex_);
  std::vector<std::string> problems;
  absl::StatusOr<Settings> settings = ReadSettings();
  Sources sources = sources_;
  absl::Status status = settings.ok() ? ReadFiles(*settings, &sources, &problems) : settings.status();
  if (status.ok()) {
    sources.settings = *std::move(settings);
  } else {
    // The configuration of before stays, with its files as they are now.
    sources = sources_;
    problems = {std::string(status.message())};
    (void)ReadFiles(sources_.settings, &sources, &problems);
  }
  if (sources.Joined() != sources_.Joined()) {
    status = Set(sources);
    if (status.ok()) {
      sources_ = std::move(sources);
      Log(LogLevel::kInfo, "access_changed");
      if (on_change_ != nullptr) on_change_(absl::OkStatus());
    } else {
      problems.emplace_back(status.message());
    }
  }
  std::string problem = absl::StrJoin(problems, "; ");
  if (problem == problem_) return;
  problem_ = std::move(problem);
  if (problem_.empty()) return Log(LogLevel::kInfo, "access_files_valid");
  Log(LogLevel::kWarning, "access_not_changed",
      {{"why", problem_}, {"what", "of what is named here, the contents of before stay"}});
  if (on_change_ != nullptr) on_change_(absl::InvalidArgumentError(problem_));
}

std::shared_ptr<const Access> AccessFiles::current() const {
  MutexLock lock(&mutex_);
  return current_;
}

}  // namespace holdfast::service
