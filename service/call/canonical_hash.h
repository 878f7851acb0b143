#ifndef HOLDFAST_SERVICE_CALL_CANONICAL_HASH_H_
#define HOLDFAST_SERVICE_CALL_CANONICAL_HASH_H_

#include <xxhash.h>

#include <string>

namespace holdfast::service {

// Returns the 16 bytes of a hash, which are the same on every machine.
inline std::string CanonicalBytes(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return std::string(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest));
}

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_CANONICAL_HASH_H_
