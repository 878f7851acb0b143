// Keys and tokens of a test, made by OpenSSL: what an identity provider does.

#ifndef HOLDFAST_TESTS_UNIT_SERVICE_JWT_SIGNER_H_
#define HOLDFAST_TESTS_UNIT_SERVICE_JWT_SIGNER_H_

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast::service {

inline void Require(bool holds) {
  if (!holds) std::abort();
}

// A key pair of one algorithm: RS256, ES256 or EdDSA.
class JwtSigner {
 public:
  explicit JwtSigner(const std::string& algorithm, unsigned rsa_bits = 2048) : algorithm_(algorithm) {
    EVP_PKEY* const key = algorithm == "RS256"   ? EVP_RSA_gen(rsa_bits)
                          : algorithm == "ES256" ? EVP_EC_gen("P-256")
                                                 : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    Require(key != nullptr);
    key_ = std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
  }

  const std::string& algorithm() const { return algorithm_; }

  // Returns the public key as a JSON Web Key, without kid and alg.
  nlohmann::json PublicJwk() const {
    if (algorithm_ == "RS256") {
      return {{"kty", "RSA"}, {"n", Encode(Parameter("n"))}, {"e", Encode(Parameter("e"))}};
    }
    if (algorithm_ == "ES256") {
      return {{"kty", "EC"}, {"crv", "P-256"}, {"x", Encode(Parameter("qx", 32))}, {"y", Encode(Parameter("qy", 32))}};
    }
    std::string raw(32, '\0');
    size_t size = raw.size();
    Require(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size) == 1);
    return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", Encode(raw)}};
  }

  std::string PublicPem() const {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    Require(PEM_write_bio_PUBKEY(bio.get(), key_.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<size_t>(size));
  }

  std::string PublicDer() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    Require(size > 0);
    std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return bytes;
  }

  // Returns a private parameter, base64url; for RSA e.g. "d".
  std::string EncodedParameter(const char* name) const { return Encode(Parameter(name)); }

  // Returns the signature as OpenSSL makes it: of ES256 in DER.
  std::string SignRaw(absl::string_view text, const char* digest = "SHA256") const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    const auto* const data = reinterpret_cast<const unsigned char*>(text.data());
    size_t size = 0;
    Require(EVP_DigestSignInit_ex(context.get(), nullptr, algorithm_ == "EdDSA" ? nullptr : digest, nullptr, nullptr,
                                  key_.get(), nullptr) == 1);
    Require(EVP_DigestSign(context.get(), nullptr, &size, data, text.size()) == 1);
    std::string signature(size, '\0');
    Require(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                           text.size()) == 1);
    signature.resize(size);
    return signature;
  }

  // Returns the signature in the form that JWTs use.
  std::string Signature(absl::string_view text) const {
    std::string raw = SignRaw(text);
    if (algorithm_ != "ES256") return raw;
    const auto* der = reinterpret_cast<const unsigned char*>(raw.data());
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> numbers(
        d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(raw.size())), &ECDSA_SIG_free);
    Require(numbers != nullptr);
    std::string signature(64, '\0');
    auto* const out = reinterpret_cast<unsigned char*>(signature.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(numbers.get()), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(numbers.get()), out + 32, 32);
    return signature;
  }

  // Returns a token with this header and these claims, both as text.
  std::string SignText(absl::string_view header, absl::string_view claims) const {
    const std::string text = absl::StrCat(Encode(header), ".", Encode(claims));
    return absl::StrCat(text, ".", Encode(Signature(text)));
  }
  std::string Sign(const nlohmann::json& claims, nlohmann::json header = nlohmann::json::object()) const {
    if (!header.contains("alg")) header["alg"] = algorithm_;
    return SignText(header.dump(), claims.dump());
  }

  static std::string Encode(absl::string_view bytes) { return absl::WebSafeBase64Escape(bytes); }

  // Returns a token with an HMAC for its signature.
  static std::string SignHs256(absl::string_view secret, const nlohmann::json& header, const nlohmann::json& claims) {
    const std::string text = absl::StrCat(Encode(header.dump()), ".", Encode(claims.dump()));
    std::string mac(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    Require(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                 reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                 reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
    mac.resize(size);
    return absl::StrCat(text, ".", Encode(mac));
  }

 private:
  std::string Parameter(const char* name, int bytes = 0) const {
    BIGNUM* number = nullptr;
    Require(EVP_PKEY_get_bn_param(key_.get(), name, &number) == 1);
    std::string text(static_cast<size_t>(std::max(bytes, BN_num_bytes(number))), '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(text.data()), static_cast<int>(text.size()));
    BN_free(number);
    return text;
  }

  std::string algorithm_;
  std::shared_ptr<EVP_PKEY> key_;
};

// Returns the text of a key set.
inline std::string KeySetJson(const std::vector<nlohmann::json>& keys) { return nlohmann::json{{"keys", keys}}.dump(); }

}  // namespace holdfast::service

#endif  // HOLDFAST_TESTS_UNIT_SERVICE_JWT_SIGNER_H_
