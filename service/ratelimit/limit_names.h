// The objects and keys that hold the limits of Envoy's rate limit service.
//
// A limit's key has the keys and values of its descriptor, each with its length before it, so that no two descriptors
// have one key: ("a_b", "c") is 3:a_b1:c and ("a", "b_c") is 1:a3:b_c. A key that would be longer than a RateLimiter
// takes is `#` and the SHA-256 of that text.
//
// The keys of a domain are divided among its objects by a hash, so that one rule with many descriptors has all
// executors at work. Names and hashes stay the same from version to version: they say where limits are on disk.

#ifndef HOLDFAST_SERVICE_RATELIMIT_LIMIT_NAMES_H_
#define HOLDFAST_SERVICE_RATELIMIT_LIMIT_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// The most bytes of a domain's name, so that the names of its objects are within their bound.
inline constexpr size_t kDomainBytesMax = 256;

// Makes the key of a limit, part by part.
class LimitKey {
 public:
  void Add(absl::string_view part);
  // Returns the key, of 1 to actors::kLimitKeyBytesMax bytes. Call it once, after at least one part.
  std::string Take();

 private:
  std::string text_;
};

// Returns the name of the object, one of `objects`, that has the key.
std::string ObjectOfKey(absl::string_view domain, absl::string_view key, uint32_t objects);
// Returns the name of the one object of a domain whose limits are counted together.
std::string ObjectOfDomain(absl::string_view domain);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_LIMIT_NAMES_H_
