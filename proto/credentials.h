// The form of bearer tokens and of principals, which the tool and the server must agree on. Both include this header,
// which stands beside the contract since neither side sees the other.
//
// A token is `hf_` and 43 characters of base64url, which are 256 random bits. The prefix lets scanners that look for
// leaked secrets know one. The server's file holds the SHA-256 of the token's text, prefix included: so many random
// bits can't be guessed from their hash, and need no slow hash with a salt as passwords do.

#ifndef HOLDFAST_PROTO_CREDENTIALS_H_
#define HOLDFAST_PROTO_CREDENTIALS_H_

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast {

inline constexpr absl::string_view kTokenPrefix = "hf_";
inline constexpr size_t kTokenRandomBytes = 32;
inline constexpr size_t kTokenBytes = kTokenPrefix.size() + 43;

inline constexpr size_t kPrincipalBytesMax = 200;

// Returns whether `name` may be the name of a principal: 1 to kPrincipalBytesMax printable ASCII characters without
// blanks and without *, which patterns of the policy use.
inline bool IsPrincipal(absl::string_view name) {
  return !name.empty() && name.size() <= kPrincipalBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isgraph(c) && c != '*'; });
}

// Returns whether `text` has the form of a token. The case of its letters counts.
inline bool IsToken(absl::string_view text) {
  return text.size() == kTokenBytes && absl::StartsWith(text, kTokenPrefix) &&
         std::all_of(text.begin() + kTokenPrefix.size(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

// Returns a new token; nullopt if the system gives no random bytes.
inline std::optional<std::string> NewToken() {
  std::array<unsigned char, kTokenRandomBytes> random;
  if (RAND_bytes(random.data(), random.size()) != 1) return std::nullopt;
  return absl::StrCat(kTokenPrefix, absl::WebSafeBase64Escape(
                                        absl::string_view(reinterpret_cast<char*>(random.data()), random.size())));
}

// Returns the 32 bytes of the SHA-256 of a token's text.
inline std::string TokenHash(absl::string_view token) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

}  // namespace holdfast

#endif  // HOLDFAST_PROTO_CREDENTIALS_H_
