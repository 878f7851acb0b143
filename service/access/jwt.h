// Verifies JSON Web Tokens (RFC 7519): signed, in compact form, from one issuer and for one audience.
//
// A token is accepted if, in this order,
//   1. it has at most kTokenBytesMax bytes, and is three parts of base64url in its one canonical spelling;
//   2. its header is a JSON object whose alg is that of the key that kid names, or of the only key of that alg; crit is
//      absent, and typ is absent, JWT or at+jwt, so that a token for another purpose (a logout, a proof) is none here;
//   3. the signature is right: nothing of the claims is looked at before;
//   4. iss is the issuer, aud is the audience or an array of strings that has it;
//   5. exp is a number and not past, nbf, if present, is a number and not to come, each with a leeway of kLeeway;
//   6. the principal's claim is a string that is a legal principal (proto/credentials.h).
// No key ever comes from the token: the header's jwk, jku, x5c and x5u are ignored, and nothing is fetched. A name that
// comes twice in a JSON object makes the token invalid. Algorithms other than those of KeySet, `none` and HS256 among
// them, belong to no key.
//
// Threading: immutable; any thread may call Verify, which takes tens of microseconds of processor time.

#ifndef HOLDFAST_SERVICE_ACCESS_JWT_H_
#define HOLDFAST_SERVICE_ACCESS_JWT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/access/key_set.h"
#include "service/access/principal.h"

namespace holdfast::service {

struct JwtOptions {
  std::string issuer;
  std::string audience;
  // The claim that names the principal, a member of the claims' object. Only take one that the issuer vouches for.
  std::string principal_claim = "sub";
};

class JwtVerifier {
 public:
  static constexpr size_t kTokenBytesMax = 8 << 10;
  static constexpr absl::Duration kLeeway = absl::Seconds(60);

  // INVALID_ARGUMENT: an option is empty, or the key set is bad (KeySet::Parse).
  static absl::StatusOr<JwtVerifier> Create(JwtOptions options, absl::string_view key_set_json);

  // Returns whose token this is, and until when it is accepted, which is exp and the leeway. UNAUTHENTICATED with a
  // message that is for the log only; it may quote a short piece of the token's header, escaped. UNAVAILABLE with such
  // a message if the token may be good later (nbf).
  absl::StatusOr<Identity> Verify(absl::string_view token, absl::Time now) const;

  // See KeySet.
  size_t key_count() const { return keys_.size(); }
  const std::vector<std::string>& ignored_keys() const { return keys_.ignored(); }

 private:
  JwtVerifier(JwtOptions options, KeySet keys) : options_(std::move(options)), keys_(std::move(keys)) {}

  // Returns the text of the claims if the signature is right.
  absl::StatusOr<std::string> SignedClaims(absl::string_view token) const;

  JwtOptions options_;
  KeySet keys_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_JWT_H_
