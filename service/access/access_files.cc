#include "service/access/access_files.h"

#include <pthread.h>

#include <chrono>
#include <utility>

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

std::string AccessFiles::Texts::Joined() const {
  std::string quotas;
  for (const auto& one : namespaces) absl::StrAppend(&quotas, one.SerializeAsString(), "\n");
  return absl::StrCat(authentication.SerializeAsString(), "\n", authorization.SerializeAsString(), "\n", quotas, "\n",
                      tokens.size(), "\n", tokens, "\n", keys);
}

absl::StatusOr<AccessFiles::Texts> AccessFiles::Read() const {
  absl::StatusOr<Config> config = read_config_();
  if (!config.ok()) return config.status();
  if (authenticates_.has_value() && *authenticates_ != Authenticates(*config)) {
    return Problem("authentication", "to begin or to end to ask for credentials takes a restart");
  }
  if (absl::Status status = Check(*config); !status.ok()) return status;
  Texts texts{
      .authentication = config->authentication(), .authorization = config->authorization(), .tokens = "", .keys = ""};
  texts.namespaces = config->namespace_();
  texts.authenticates = Authenticates(*config);
  if (const std::string& path = texts.authentication.token_file(); !path.empty()) {
    absl::StatusOr<std::string> text = ReadSmallFile(path, Tokens::kFileBytesMax);
    if (!text.ok()) return Named("authentication.token_file", path, text.status());
    texts.tokens = *std::move(text);
  }
  if (const std::string& path = texts.authentication.jwt().jwks_file(); !path.empty()) {
    absl::StatusOr<std::string> text = ReadSmallFile(path, KeySet::kBytesMax);
    if (!text.ok()) return Named("authentication.jwt.jwks_file", path, text.status());
    texts.keys = *std::move(text);
  }
  return texts;
}

absl::Status AccessFiles::Set(const Texts& texts) {
  Access::Parts parts;
  parts.authenticates = texts.authenticates;
  if (!texts.namespaces.empty()) parts.quotas = std::make_unique<Quotas>(texts.namespaces);
  absl::StatusOr<Tokens> tokens = Tokens::Parse(texts.tokens);
  if (!tokens.ok()) {
    return Named("authentication.token_file", texts.authentication.token_file(), tokens.status());
  }
  parts.tokens = *std::move(tokens);
  if (texts.authentication.has_jwt()) {
    const auto& jwt = texts.authentication.jwt();
    absl::StatusOr<JwtVerifier> verifier =
        JwtVerifier::Create({.issuer = jwt.issuer(),
                             .audience = jwt.audience(),
                             .principal_claim = jwt.principal_claim().empty() ? kDefaultClaim : jwt.principal_claim()},
                            texts.keys);
    if (!verifier.ok()) return Named("authentication.jwt.jwks_file", jwt.jwks_file(), verifier.status());
    if (!verifier->ignored_keys().empty()) {
      Log(LogLevel::kWarning, "jwt_keys_left_out", {{"keys", absl::StrJoin(verifier->ignored_keys(), "; ")}});
    }
    parts.jwt = *std::move(verifier);
  }
  absl::StatusOr<Policy> policy = Policy::Compile(texts.authorization);
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
  const absl::StatusOr<Texts> texts = files->Read();
  if (!texts.ok()) return texts.status();
  if (absl::Status status = files->Set(*texts); !status.ok()) return status;
  files->authenticates_ = texts->authenticates;
  files->seen_ = texts->Joined();
  return files;
}

AccessFiles::~AccessFiles() {
  {
    MutexLock lock(&stop_mutex_);
    stop_ = true;
    stop_changed_.WakeAll();
  }
  if (thread_.joinable()) thread_.join();
}

void AccessFiles::Start() {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "access files");
}

void AccessFiles::Run() {
  MutexLock lock(&stop_mutex_);
  while (!stop_) {
    const auto next = std::chrono::steady_clock::now() + absl::ToChronoSeconds(kInterval);
    while (!stop_ && stop_changed_.WaitUntil(&stop_mutex_, next)) {
    }
    if (stop_) return;
    lock.Unlock();
    Reload();
    lock.Lock();
  }
}

void AccessFiles::Reload() {
  MutexLock lock(&reload_mutex_);
  const absl::StatusOr<Texts> texts = Read();
  std::string read = texts.ok() ? texts->Joined() : texts.status().ToString();
  if (read == seen_) return;
  seen_ = std::move(read);
  const absl::Status status = texts.ok() ? Set(*texts) : texts.status();
  if (status.ok()) {
    Log(LogLevel::kInfo, "access_changed");
  } else {
    Log(LogLevel::kWarning, "access_not_changed",
        {{"why", std::string(status.message())}, {"what", "the rules and credentials of before stay"}});
  }
  if (on_change_ != nullptr) on_change_(status);
}

std::shared_ptr<const Access> AccessFiles::current() const {
  MutexLock lock(&mutex_);
  return current_;
}

}  // namespace holdfast::service
