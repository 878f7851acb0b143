#include "service/access/jwt_cache.h"

#include <utility>

#include "proto/credentials.h"

namespace holdfast::service {

absl::StatusOr<Identity> JwtCache::Verify(absl::string_view token, absl::Time now) {
  // The verifier refuses it without work; to hash it would be some.
  if (token.size() > JwtVerifier::kTokenBytesMax) return verifier_.Verify(token, now);
  const std::string hash = TokenHash(token);
  {
    const MutexLock lock(&mutex_);
    const std::optional<Identity> found = Find(hash);
    if (found.has_value() && now < found->expires) return *found;
  }
  // Of an expired token the verifier says so.
  absl::StatusOr<Identity> identity = verifier_.Verify(token, now);
  if (identity.ok()) {
    const MutexLock lock(&mutex_);
    Remember(hash, *identity);
  }
  return identity;
}

std::optional<Identity> JwtCache::Find(const std::string& hash) {
  if (const auto found = young_.find(hash); found != young_.end()) return found->second;
  const auto found = old_.find(hash);
  if (found == old_.end()) return std::nullopt;
  Identity identity = std::move(found->second);
  old_.erase(found);
  Remember(hash, identity);
  return identity;
}

void JwtCache::Remember(const std::string& hash, const Identity& identity) {
  if (generation_max_ == 0) return;
  if (young_.size() >= generation_max_) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert_or_assign(hash, identity);
}

size_t JwtCache::size() const {
  const MutexLock lock(&mutex_);
  return young_.size() + old_.size();
}

}  // namespace holdfast::service
