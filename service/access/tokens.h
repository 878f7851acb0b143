// The bearer tokens that a server accepts, as its token file lists them: a line for each, with the name of its
// principal, the SHA-256 of the token in hex and, optionally, the instant from which it is refused (RFC 3339).
//
//   # NAME    SHA256-HEX                                                        EXPIRES
//   shop-web  4f0c5b5f1c9c6f1f2a9e3d6b7a8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708  2027-01-01T00:00:00Z
//
// Words are separated by blanks or tabs; a word that begins with # begins a comment. `holdfast token new NAME` prints a
// token and its line (proto/credentials.h has the form). A file with an error is refused as a whole.
//
// Timing: a token is hashed before it is compared, and an attacker can't choose the hash of a guess. Therefore the hash
// table, whose key is a part of the hash, may take a time that depends on it: it tells how far the hash of a guess
// agrees with a stored one, from which no token follows. The hash itself is compared in constant time all the same.
//
// Threading: immutable; any thread may call any const method.

#ifndef HOLDFAST_SERVICE_ACCESS_TOKENS_H_
#define HOLDFAST_SERVICE_ACCESS_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/access/principal.h"

namespace holdfast::service {

class Tokens {
 public:
  static constexpr size_t kFileBytesMax = 1 << 20;
  static constexpr size_t kLinesMax = 10'000;

  // Holds no token and refuses all.
  Tokens() = default;

  // Parses the text of a token file; an empty one is valid. INVALID_ARGUMENT names the line, and shows nothing of it,
  // since a token that was put into the file by mistake must not get into a log.
  static absl::StatusOr<Tokens> Parse(absl::string_view text);

  // Returns whose token this is. UNAUTHENTICATED, with a message that is for the log only: `token` has not the form of
  // a token, is unknown, or has expired. The message shows nothing of it.
  absl::StatusOr<Identity> Find(absl::string_view token, absl::Time now) const;

  size_t size() const { return size_; }

 private:
  struct Token {
    std::string hash;  // the 32 bytes
    Identity identity;
    size_t line;
  };

  // Returns the token with this hash, or nullptr.
  const Token* FindHash(absl::string_view hash) const;
  absl::Status AddLine(const std::vector<absl::string_view>& words, size_t line,
                       absl::flat_hash_map<Principal, size_t>* lines);

  // The key is the hash's first 8 bytes.
  absl::flat_hash_map<uint64_t, std::vector<Token>> tokens_;
  size_t size_ = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_TOKENS_H_
