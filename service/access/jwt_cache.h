// Remembers the tokens that a JwtVerifier has accepted. Each call of a client brings its token, and to verify one takes
// 40 to 150 us of processor time by its algorithm, many times what a call takes; to find it here takes about 1 us.
//
// The cache holds the SHA-256 of tokens and not the tokens. It belongs to one verifier, that is to one key set: a new
// set needs a new cache, so that a key that was removed accepts nothing from then on. A token that is refused is not
// remembered, so whoever has none that is accepted can push nobody out.
//
// Bounds: two generations, each of half of `tokens_max`. When the young one is full, it becomes the old one, and the
// old one is dropped; a token that is found in the old one moves to the young one.
//
// Threading: any thread may call Verify. A lock is held for a look-up, never while a token is verified.

#ifndef HOLDFAST_SERVICE_ACCESS_JWT_CACHE_H_
#define HOLDFAST_SERVICE_ACCESS_JWT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/access/jwt.h"
#include "service/access/principal.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class JwtCache {
 public:
  JwtCache(JwtVerifier verifier, size_t tokens_max) : verifier_(std::move(verifier)), generation_max_(tokens_max / 2) {}
  JwtCache(const JwtCache&) = delete;
  JwtCache& operator=(const JwtCache&) = delete;

  // Returns what JwtVerifier::Verify does, but for a token that was accepted before, which is accepted until it
  // expires even if the clock has gone back before its nbf.
  absl::StatusOr<Identity> Verify(absl::string_view token, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  const JwtVerifier& verifier() const { return verifier_; }
  // The number of tokens that are remembered.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Generation = absl::flat_hash_map<std::string, Identity>;  // by the hash of the token

  std::optional<Identity> Find(const std::string& hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(const std::string& hash, const Identity& identity) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const JwtVerifier verifier_;
  const size_t generation_max_;

  mutable Mutex mutex_;
  Generation young_ ABSL_GUARDED_BY(mutex_);
  Generation old_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_JWT_CACHE_H_
