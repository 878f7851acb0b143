// Fuzzes JSON Web Tokens and key sets. The first byte of the input says what the rest is:
//   t  a token
//   h  the text of a header, and c the text of claims, which are signed here, so that the code behind the signature is
//      reached
//   k  a key set
// The key is fixed, so that a run repeats.

#include "service/access/jwt.h"

#include <openssl/evp.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace {

using holdfast::service::Identity;
using holdfast::service::JwtVerifier;
using holdfast::service::KeySet;
using nlohmann::json;

constexpr int64_t kNow = 1'780'000'000;
constexpr char kHeader[] = R"({"alg":"EdDSA"})";
constexpr char kClaims[] = R"({"iss":"https://id.example","aud":"holdfast","sub":"shop-web","exp":1780000600})";

void Require(bool holds) {
  if (!holds) std::abort();
}

class Issuer {
 public:
  Issuer() {
    const std::string seed(32, 'k');
    key_ = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(seed.data()),
                                        seed.size());
    Require(key_ != nullptr);
    token_ = Sign(kHeader, kClaims);
  }

  std::string Sign(absl::string_view header, absl::string_view claims) const {
    const std::string text = absl::StrCat(absl::WebSafeBase64Escape(header), ".", absl::WebSafeBase64Escape(claims));
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::string signature(64, '\0');
    size_t size = signature.size();
    Require(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_) == 1 &&
            EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1);
    return absl::StrCat(text, ".", absl::WebSafeBase64Escape(signature));
  }

  JwtVerifier Verifier() const {
    std::string raw(32, '\0');
    size_t size = raw.size();
    Require(EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(raw.data()), &size) == 1);
    const json keys = {
        {"keys", json::array({{{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", absl::WebSafeBase64Escape(raw)}}})}};
    return *JwtVerifier::Create({"https://id.example", "holdfast"}, keys.dump());
  }

  // The token with kHeader and kClaims.
  const std::string& token() const { return token_; }

 private:
  EVP_PKEY* key_;
  std::string token_;
};

void Check(const absl::Status& refusal) {
  const bool later = refusal.message() == "the token is not valid yet (nbf)";
  Require(refusal.code() == (later ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnauthenticated));
  Require(refusal.message().size() < 400);
}

// Holds the claims of an accepted token against what another parser call reads.
void Check(const Identity& identity, absl::string_view claims_text) {
  const json claims = json::parse(claims_text.begin(), claims_text.end());
  Require(claims.at("iss") == "https://id.example");
  const json& audience = claims.at("aud");
  Require(audience == "holdfast" || (audience.is_array() && audience.dump().find("\"holdfast\"") != std::string::npos));
  Require(claims.at("sub") == identity.principal.name());
  Require(claims.at("exp").get<double>() + 60 > kNow && identity.expires > absl::FromUnixSeconds(kNow));
  Require(!claims.contains("nbf") || claims.at("nbf").get<double>() - 60 <= kNow);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const issuer = new Issuer;
  static const auto* const verifier = new JwtVerifier(issuer->Verifier());
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const absl::Time now = absl::FromUnixSeconds(kNow);
  switch (data[0]) {
    case 't': {
      const auto found = verifier->Verify(text, now);
      if (!found.ok()) Check(found.status());
      Require(found.ok() == (text == issuer->token()));
      break;
    }
    case 'h': {
      const auto found = verifier->Verify(issuer->Sign(text, kClaims), now);
      if (!found.ok()) {
        Check(found.status());
        break;
      }
      const json header = json::parse(text.begin(), text.end());
      Require(header.at("alg") == "EdDSA" && !header.contains("crit") && !header.contains("kid"));
      break;
    }
    case 'c': {
      const auto found = verifier->Verify(issuer->Sign(kHeader, text), now);
      if (found.ok()) {
        Check(*found, text);
      } else {
        Check(found.status());
      }
      break;
    }
    case 'k': {
      const auto set = KeySet::Parse(text);
      if (set.ok()) {
        Require(set->size() + set->ignored().size() <= KeySet::kKeysMax);
        if (const auto key = set->Find("EdDSA", std::nullopt); key.ok()) (*key)->Verifies("text", std::string(64, 'x'));
        if (const auto key = set->Find("ES256", std::nullopt); key.ok()) (*key)->Verifies("text", std::string(64, 'x'));
        if (const auto key = set->Find("RS256", std::nullopt); key.ok())
          (*key)->Verifies("text", std::string(256, 'x'));
      } else {
        Require(set.status().message().size() < 600);
      }
      break;
    }
    default:
      break;
  }
  return 0;
}
