// The public keys that sign JWTs: a JSON Web Key Set (RFC 7517) from a file.
//
// Each key has one algorithm, by its type: RS256 for RSA of at least 2048 bits, ES256 for P-256, EdDSA for Ed25519. A
// token's header must name the same, so that no key is ever used in a way that it was not meant for ("key confusion").
//
// OpenSSL does the cryptography, through EVP_DigestVerify, and nlohmann-json reads the JSON. A whole JWT library was
// examined, librhonabwy 1.1.11, which Debian 12 has: it takes the algorithm from the token's header even where the key
// names another (RS512 and PS256 tokens pass with a key of alg RS256), takes 16 spellings of one signature since it
// ignores the last bits of its base64, and loads GnuTLS, libcurl and LDAP into the server, which has one TLS library
// already and fetches nothing. libjwt 1.10 has no key sets.
//
// A set is a document of the identity provider, which may hold keys for other uses (encryption, RS512, P-384). Those
// are left out, as RFC 7517 asks for, and `ignored` says which and why. A set with a secret, a weak or a broken key is
// refused as a whole: private and symmetric keys have no place in it.
//
// Threading: immutable; any thread may call any const method.

#ifndef HOLDFAST_SERVICE_ACCESS_KEY_SET_H_
#define HOLDFAST_SERVICE_ACCESS_KEY_SET_H_

#include <openssl/evp.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {

// A public key with the one algorithm that it verifies.
class VerificationKey {
 public:
  enum class Algorithm { kRs256, kEs256, kEdDsa };

  struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  using OpenSslKey = std::unique_ptr<EVP_PKEY, FreeKey>;

  VerificationKey(Algorithm algorithm, std::optional<std::string> id, OpenSslKey key)
      : algorithm_(algorithm), id_(std::move(id)), key_(std::move(key)) {}

  // Returns the algorithm's name in a header, e.g. RS256.
  absl::string_view algorithm_name() const;
  const std::optional<std::string>& id() const { return id_; }  // the kid

  // Returns whether this is the key's signature of `text`. `signature` has the form that JWTs use.
  bool Verifies(absl::string_view text, absl::string_view signature) const;

 private:
  Algorithm algorithm_;
  std::optional<std::string> id_;
  OpenSslKey key_;
};

class KeySet {
 public:
  static constexpr size_t kBytesMax = 256 << 10;
  static constexpr size_t kKeysMax = 100;
  static constexpr size_t kKeyIdBytesMax = 256;
  static constexpr int kRsaBitsMin = 2048;
  static constexpr int kRsaBitsMax = 4096;

  // Parses the text of a key set. A set without keys is valid. INVALID_ARGUMENT names the key by its place, which
  // counts from 0, and its kid.
  static absl::StatusOr<KeySet> Parse(absl::string_view json);

  // Returns the key for a token whose header has this algorithm and this kid. Without a kid it is the only key of the
  // algorithm. UNAUTHENTICATED says why there is none.
  absl::StatusOr<const VerificationKey*> Find(absl::string_view algorithm, std::optional<absl::string_view> id) const;

  size_t size() const { return keys_.size(); }
  // The keys that are left out, each with the reason, for the log.
  const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  std::vector<VerificationKey> keys_;
  std::vector<std::string> ignored_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_KEY_SET_H_
