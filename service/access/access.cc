#include "service/access/access.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "proto/credentials.h"

namespace holdfast::service {
namespace {

constexpr absl::string_view kScheme = "bearer ";

// The key under which a caller is kept. The parts can't be confused: a hash has one length.
std::string KeyOf(const Credentials& credentials) {
  std::string key = credentials.authorization.empty() ? "" : TokenHash(credentials.authorization.front());
  absl::StrAppend(&key, "/", credentials.certificate);
  return key;
}

absl::Status Unauthenticated(v1::ErrorReason reason, absl::string_view message) {
  return actors::Error(absl::StatusCode::kUnauthenticated, reason, message);
}

// Says nothing of what is wrong with them.
absl::Status Invalid() {
  return Unauthenticated(v1::ERROR_REASON_CREDENTIALS_INVALID, "the credentials of the call are not valid here");
}

// Returns whether the token is a JWT: no token of the file has a dot, and every JWT has two.
bool IsJwt(absl::string_view token) { return absl::StrContains(token, '.'); }

}  // namespace

absl::StatusOr<std::shared_ptr<const Caller>> Access::Identify(const Credentials& credentials, absl::Time now,
                                                               std::string* why) const {
  if (credentials.certificate.empty() && credentials.authorization.empty()) {
    *why = "no credentials";
    return Unauthenticated(v1::ERROR_REASON_CREDENTIALS_MISSING,
                           "the call has no credentials; this server wants a client certificate, or "
                           "\"authorization: Bearer TOKEN\" in the metadata");
  }
  // A second value has no place in the key, and is refused below.
  const std::string key = credentials.authorization.size() > 1 ? "" : KeyOf(credentials);
  if (!key.empty()) {
    MutexLock lock(&mutex_);
    const auto it = callers_.find(key);
    if (it != callers_.end() && now < it->second->identity.expires) return it->second;
  }
  const bool has_signature = HasSignature(credentials);
  if (has_signature) {
    if (const std::optional<std::string> failed = failed_checks_.Find(key)) {
      *why = *failed;
      return Invalid();
    }
    if (!failed_checks_.MayCheck(credentials.peer, parts_.steady())) {
      *why = "too many tokens from this address have failed";
      return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                               "too many tokens from this address were not valid within a second "
                               "(server.failed_token_checks_per_second_max); this one was not looked at",
                               absl::Seconds(1));
    }
  }
  absl::StatusOr<Identity> identity = Check(credentials, now);
  if (!identity.ok()) {
    *why = std::string(identity.status().message());
    if (has_signature) {
      failed_checks_.Count(credentials.peer, parts_.steady());
      if (!absl::IsUnavailable(identity.status())) failed_checks_.Remember(key, *why);
    }
    return Invalid();
  }
  Rights rights = parts_.policy.RightsOf(identity->principal.name());
  auto caller = std::make_shared<const Caller>(Caller{*std::move(identity), std::move(rights), generation_});
  MutexLock lock(&mutex_);
  if (callers_.size() >= kCallersMax) callers_.clear();
  callers_.insert_or_assign(key, caller);
  return caller;
}

bool Access::HasSignature(const Credentials& credentials) const {
  return parts_.jwt && credentials.authorization.size() == 1 && IsJwt(credentials.authorization.front());
}

absl::StatusOr<Identity> Access::Check(const Credentials& credentials, absl::Time now) const {
  std::optional<Identity> identity;
  if (!credentials.certificate.empty()) {
    const auto principal = Principal::Parse(credentials.certificate);
    if (!principal) return absl::UnauthenticatedError("the name in the certificate can't be a principal");
    identity = Identity{*principal};
  }
  if (credentials.authorization.empty()) return *std::move(identity);
  if (credentials.authorization.size() > 1) return absl::UnauthenticatedError("more than one authorization is given");
  absl::StatusOr<Identity> bearer = CheckBearer(credentials.authorization.front(), now);
  if (bearer.ok() && identity && bearer->principal != identity->principal) {
    return absl::UnauthenticatedError(absl::StrCat("the certificate is of ", identity->principal.name(),
                                                   " and the token of ", bearer->principal.name()));
  }
  return bearer;
}

absl::StatusOr<Identity> Access::CheckBearer(absl::string_view authorization, absl::Time now) const {
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return absl::UnauthenticatedError("authorization is not of the scheme Bearer");
  }
  const absl::string_view token = authorization.substr(kScheme.size());
  if (parts_.jwt && IsJwt(token)) return parts_.jwt->Verify(token, now);
  return parts_.tokens.Find(token, now);
}

}  // namespace holdfast::service
