#include "service/ratelimit/limit_names.h"

#include <openssl/sha.h>
#include <xxhash.h>

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/objects/rate_limit.h"

namespace holdfast::service {
namespace {

std::string Sha256Hex(absl::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
}

}  // namespace

void LimitKey::Add(absl::string_view part) { absl::StrAppend(&text_, part.size(), ":", part); }

std::string LimitKey::Take() {
  if (text_.size() <= actors::kLimitKeyBytesMax) return std::move(text_);
  return absl::StrCat("#", Sha256Hex(text_));
}

std::string ObjectOfKey(absl::string_view domain, absl::string_view key, uint32_t objects) {
  return absl::StrCat("envoy/", XXH3_64bits(key.data(), key.size()) % objects, "/", domain);
}

std::string ObjectOfDomain(absl::string_view domain) { return absl::StrCat("envoy/all/", domain); }

}  // namespace holdfast::service
