#include "service/access/key_set.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "service/access/json.h"

namespace holdfast::service {
namespace {

using nlohmann::json;
using Algorithm = VerificationKey::Algorithm;
using OpenSslKey = VerificationKey::OpenSslKey;

constexpr size_t kCoordinateBytes = 32;  // of P-256, and the size of a key of Ed25519
constexpr size_t kSignatureBytes = 64;   // of ES256 and EdDSA
constexpr size_t kExponentBytesMax = 8;  // of RSA; OpenSSL's own bound for large keys

template <auto kFree>
struct Free {
  void operator()(auto* object) const { kFree(object); }
};
using BigNumber = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

// Takes what OpenSSL reports meanwhile off the thread's error queue. gRPC's TLS uses the same queue, and would take an
// error that is left in it for one of its connection.
class ErrorsKeptApart {
 public:
  ErrorsKeptApart() { ERR_set_mark(); }
  ErrorsKeptApart(const ErrorsKeptApart&) = delete;
  ErrorsKeptApart& operator=(const ErrorsKeptApart&) = delete;
  ~ErrorsKeptApart() { ERR_pop_to_mark(); }
};

const unsigned char* Bytes(absl::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

BigNumber Number(absl::string_view bytes) {
  return BigNumber(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

// Makes a public key and checks it: that an RSA modulus is odd and composite, that a point is on its curve.
OpenSslKey MakeKey(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  OpenSslKey key(made);
  const KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  return check != nullptr && EVP_PKEY_public_check(check.get()) == 1 ? std::move(key) : nullptr;
}

// Returns the bytes of a base64url member. INVALID_ARGUMENT if it is missing or malformed.
absl::StatusOr<std::string> BytesMember(const json& jwk, const std::string& name) {
  const std::string* const text = StringMember(jwk, name);
  std::optional<std::string> bytes = text == nullptr ? std::nullopt : DecodeBase64Url(*text);
  if (!bytes.has_value()) return absl::InvalidArgumentError(absl::StrCat(name, " must be base64url without padding"));
  return *std::move(bytes);
}

absl::StatusOr<OpenSslKey> RsaKey(const json& jwk) {
  const absl::StatusOr<std::string> modulus_bytes = BytesMember(jwk, "n");
  if (!modulus_bytes.ok()) return modulus_bytes.status();
  const absl::StatusOr<std::string> exponent_bytes = BytesMember(jwk, "e");
  if (!exponent_bytes.ok()) return exponent_bytes.status();
  // The size bounds the work of the checks below.
  if (modulus_bytes->size() > KeySet::kRsaBitsMax / 8 || exponent_bytes->size() > kExponentBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("RSA keys have at most ", KeySet::kRsaBitsMax,
                                                   " bits, and exponents at most ", 8 * kExponentBytesMax));
  }
  const BigNumber modulus = Number(*modulus_bytes);
  const BigNumber exponent = Number(*exponent_bytes);
  if (const int bits = BN_num_bits(modulus.get()); bits < KeySet::kRsaBitsMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("the RSA key has ", bits, " bits; the least is ", KeySet::kRsaBitsMin));
  }
  // With the exponent 1 everything is its own signature.
  if (!BN_is_odd(exponent.get()) || BN_is_one(exponent.get())) {
    return absl::InvalidArgumentError("the RSA exponent must be odd and over 1");
  }
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  OpenSslKey key = MakeKey("RSA", builder.get());
  if (key == nullptr) return absl::InvalidArgumentError("n and e are no RSA key");
  return key;
}

absl::StatusOr<OpenSslKey> P256Key(const json& jwk) {
  const absl::StatusOr<std::string> x = BytesMember(jwk, "x");
  if (!x.ok()) return x.status();
  const absl::StatusOr<std::string> y = BytesMember(jwk, "y");
  if (!y.ok()) return y.status();
  if (x->size() != kCoordinateBytes || y->size() != kCoordinateBytes) {
    return absl::InvalidArgumentError(absl::StrCat("x and y of P-256 must have ", kCoordinateBytes, " bytes"));
  }
  const std::string point = absl::StrCat("\x04", *x, *y);  // 4: not compressed
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  OpenSslKey key = MakeKey("EC", builder.get());
  if (key == nullptr) return absl::InvalidArgumentError("x and y are no point of P-256");
  return key;
}

absl::StatusOr<OpenSslKey> Ed25519Key(const json& jwk) {
  const absl::StatusOr<std::string> x = BytesMember(jwk, "x");
  if (!x.ok()) return x.status();
  if (x->size() != kCoordinateBytes) {
    return absl::InvalidArgumentError(absl::StrCat("x of Ed25519 must have ", kCoordinateBytes, " bytes"));
  }
  OpenSslKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(*x), x->size()));
  if (key == nullptr) return absl::InvalidArgumentError("x is no key of Ed25519");
  return key;
}

absl::string_view NameOf(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRs256:
      return "RS256";
    case Algorithm::kEs256:
      return "ES256";
    case Algorithm::kEdDsa:
      return "EdDSA";
  }
  return "";
}

// Returns the algorithm of a key by its type; nullopt for a type that is not used here.
std::optional<Algorithm> AlgorithmOf(absl::string_view type, const std::string* curve) {
  if (type == "RSA") return Algorithm::kRs256;
  if (type == "EC" && curve != nullptr && *curve == "P-256") return Algorithm::kEs256;
  if (type == "OKP" && curve != nullptr && *curve == "Ed25519") return Algorithm::kEdDsa;
  return std::nullopt;
}

// Returns whether the key may be used to verify signatures, by its members use and key_ops.
bool IsForVerifying(const json& jwk) {
  if (jwk.contains("use")) {
    const std::string* const use = StringMember(jwk, "use");
    if (use == nullptr || *use != "sig") return false;
  }
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  return operations->is_array() && std::find(operations->begin(), operations->end(), "verify") != operations->end();
}

// Returns a member that only a secret key has; nullptr if there is none.
const char* SecretMember(const json& jwk) {
  for (const char* const member : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    if (jwk.contains(member)) return member;
  }
  return nullptr;
}

// Returns the key; an empty optional, with the reason in `ignored`, if it is for another use; or INVALID_ARGUMENT.
absl::StatusOr<std::optional<VerificationKey>> ParseKey(const json& jwk, std::string* ignored) {
  if (!jwk.is_object()) return absl::InvalidArgumentError("is no JSON object");
  const std::string* const type = StringMember(jwk, "kty");
  if (type == nullptr) return absl::InvalidArgumentError("kty must be a string");
  if (*type == "oct") {
    return absl::InvalidArgumentError("is a symmetric key (kty oct); who verifies with one could sign with it too");
  }
  if (const char* const secret = SecretMember(jwk)) {
    return absl::InvalidArgumentError(absl::StrCat("is a private key: it has the member ", secret));
  }
  std::optional<std::string> id;
  if (jwk.contains("kid")) {
    const std::string* const text = StringMember(jwk, "kid");
    if (text == nullptr || text->size() > KeySet::kKeyIdBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("kid must be a string of at most ", KeySet::kKeyIdBytesMax, " bytes"));
    }
    id = *text;
  }
  const std::string* const curve = StringMember(jwk, "crv");
  const std::optional<Algorithm> algorithm = AlgorithmOf(*type, curve);
  if (!algorithm.has_value()) {
    *ignored = absl::StrCat("its type is ", Quoted(*type), curve == nullptr ? "" : " ",
                            curve == nullptr ? "" : Quoted(*curve), "; RSA, EC P-256 and OKP Ed25519 are used");
    return std::nullopt;
  }
  if (!IsForVerifying(jwk)) {
    *ignored = "its use or key_ops is not to verify signatures";
    return std::nullopt;
  }
  if (jwk.contains("alg")) {
    const std::string* const name = StringMember(jwk, "alg");
    if (name == nullptr) return absl::InvalidArgumentError("alg must be a string");
    if (*name != NameOf(*algorithm)) {
      *ignored = absl::StrCat("its alg is ", Quoted(*name), "; ", NameOf(*algorithm), " is used for this type");
      return std::nullopt;
    }
  }
  absl::StatusOr<OpenSslKey> key = *algorithm == Algorithm::kRs256   ? RsaKey(jwk)
                                   : *algorithm == Algorithm::kEs256 ? P256Key(jwk)
                                                                     : Ed25519Key(jwk);
  if (!key.ok()) return key.status();
  return VerificationKey(*algorithm, std::move(id), *std::move(key));
}

// Returns the DER of an ECDSA signature whose two numbers come as 32 bytes each; empty if they are none.
std::string EcdsaDer(absl::string_view signature) {
  const EcdsaSignature numbers(ECDSA_SIG_new());
  BigNumber r = Number(signature.substr(0, kCoordinateBytes));
  BigNumber s = Number(signature.substr(kCoordinateBytes));
  if (numbers == nullptr || r == nullptr || s == nullptr) return "";
  // On success the signature owns the numbers.
  if (ECDSA_SIG_set0(numbers.get(), r.get(), s.get()) != 1) return "";
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(numbers.get(), &der);
  if (size <= 0) return "";
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

absl::string_view VerificationKey::algorithm_name() const { return NameOf(algorithm_); }

bool VerificationKey::Verifies(absl::string_view text, absl::string_view signature) const {
  const ErrorsKeptApart errors;
  std::string der;
  if (algorithm_ == Algorithm::kEs256) {
    if (signature.size() != kSignatureBytes) return false;
    der = EcdsaDer(signature);
    if (der.empty()) return false;
    signature = der;
  }
  const EVP_MD* const digest = algorithm_ == Algorithm::kEdDsa ? nullptr : EVP_sha256();  // Ed25519 has its own
  const DigestContext context(EVP_MD_CTX_new());
  return context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text), text.size()) == 1;
}

absl::StatusOr<KeySet> KeySet::Parse(absl::string_view json_text) {
  if (json_text.size() > kBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the key set is over ", kBytesMax, " bytes"));
  }
  const std::optional<json> document = ParseJsonObject(json_text);
  if (!document.has_value()) {
    return absl::InvalidArgumentError("the key set is no JSON object, or has a name twice");
  }
  const auto jwks = document->find("keys");
  if (jwks == document->end() || !jwks->is_array()) {
    return absl::InvalidArgumentError("the key set must have an array of keys");
  }
  if (jwks->size() > kKeysMax) {
    return absl::InvalidArgumentError(absl::StrCat("the key set has ", jwks->size(), " keys; at most ", kKeysMax));
  }
  const ErrorsKeptApart errors;
  KeySet set;
  for (size_t i = 0; i < jwks->size(); ++i) {
    const json& jwk = (*jwks)[i];
    const std::string* const id = jwk.is_object() ? StringMember(jwk, "kid") : nullptr;
    const std::string place = absl::StrCat("key ", i, id == nullptr ? "" : absl::StrCat(" (kid ", Quoted(*id), ")"));
    std::string ignored;
    absl::StatusOr<std::optional<VerificationKey>> key = ParseKey(jwk, &ignored);
    if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat(place, ": ", key.status().message()));
    if (!key->has_value()) {
      set.ignored_.push_back(absl::StrCat(place, ": ", ignored));
      continue;
    }
    if ((*key)->id().has_value() && std::any_of(set.keys_.begin(), set.keys_.end(), [&](const VerificationKey& other) {
          return other.id() == (*key)->id();
        })) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": another key has the same kid"));
    }
    set.keys_.push_back(**std::move(key));
  }
  return set;
}

absl::StatusOr<const VerificationKey*> KeySet::Find(absl::string_view algorithm,
                                                    std::optional<absl::string_view> id) const {
  const VerificationKey* found = nullptr;
  for (const VerificationKey& key : keys_) {
    if (id.has_value() ? key.id() != *id : key.algorithm_name() != algorithm) continue;
    if (found != nullptr) {
      return absl::UnauthenticatedError(absl::StrCat("the token has no kid, and several keys are for ", algorithm));
    }
    found = &key;
  }
  if (found == nullptr) {
    return absl::UnauthenticatedError(id.has_value() ? absl::StrCat("no key has the kid ", Quoted(*id))
                                                     : absl::StrCat("no key is for alg ", Quoted(algorithm)));
  }
  if (found->algorithm_name() != algorithm) {
    return absl::UnauthenticatedError(
        absl::StrCat("the token's alg is ", Quoted(algorithm), ", and its key is for ", found->algorithm_name()));
  }
  return found;
}

}  // namespace holdfast::service
