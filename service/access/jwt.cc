#include "service/access/jwt.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/access/json.h"

namespace holdfast::service {
namespace {

using nlohmann::json;

absl::Status Refused(absl::string_view why) { return absl::UnauthenticatedError(why); }

// Checks what the header says beside alg and kid.
absl::Status CheckHeader(const json& header) {
  if (header.contains("crit")) return Refused("the header has crit: it needs an extension");
  if (!header.contains("typ")) return absl::OkStatus();
  const std::string* const type = StringMember(header, "typ");
  if (type == nullptr) return Refused("typ is no string");
  absl::string_view name = *type;
  if (absl::StartsWithIgnoreCase(name, "application/")) name.remove_prefix(12);
  if (absl::EqualsIgnoreCase(name, "JWT") || absl::EqualsIgnoreCase(name, "at+jwt")) return absl::OkStatus();
  return Refused(absl::StrCat("typ is ", Quoted(*type), ", neither JWT nor at+jwt"));
}

// Returns whether aud is the audience or an array of strings that has it.
bool HasAudience(const json& claims, const std::string& audience) {
  const auto aud = claims.find("aud");
  if (aud == claims.end()) return false;
  if (!aud->is_array()) return aud->is_string() && *aud == audience;
  return std::all_of(aud->begin(), aud->end(), [](const json& each) { return each.is_string(); }) &&
         std::find(aud->begin(), aud->end(), audience) != aud->end();
}

// Returns the time of a claim, seconds since 1970 with or without a fraction; nullopt if it is no number, or a time
// before the year 1 or after 9999.
std::optional<absl::Time> TimeClaim(const json& claim) {
  constexpr double kSecondsMin = -62'135'596'800;  // 0001-01-01
  constexpr double kSecondsMax = 253'402'300'799;  // 9999-12-31T23:59:59
  if (!claim.is_number()) return std::nullopt;
  const auto seconds = claim.get<double>();
  if (!(seconds >= kSecondsMin && seconds <= kSecondsMax)) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

}  // namespace

absl::StatusOr<JwtVerifier> JwtVerifier::Create(JwtOptions options, absl::string_view key_set_json) {
  if (options.issuer.empty()) return absl::InvalidArgumentError("the issuer is empty");
  if (options.audience.empty()) return absl::InvalidArgumentError("the audience is empty");
  if (options.principal_claim.empty()) return absl::InvalidArgumentError("the principal's claim is empty");
  absl::StatusOr<KeySet> keys = KeySet::Parse(key_set_json);
  if (!keys.ok()) return keys.status();
  return JwtVerifier(std::move(options), *std::move(keys));
}

absl::StatusOr<std::string> JwtVerifier::SignedClaims(absl::string_view token) const {
  if (token.size() > kTokenBytesMax) return Refused(absl::StrCat("the token is over ", kTokenBytesMax, " bytes"));
  const std::vector<absl::string_view> parts = absl::StrSplit(token, absl::MaxSplits('.', 3));
  if (parts.size() != 3) return Refused("the token has not three parts");
  const std::optional<std::string> header_text = DecodeBase64Url(parts[0]);
  const std::optional<json> header = header_text.has_value() ? ParseJsonObject(*header_text) : std::nullopt;
  if (!header.has_value()) return Refused("the header is malformed");
  if (absl::Status status = CheckHeader(*header); !status.ok()) return status;
  const std::string* const algorithm = StringMember(*header, "alg");
  if (algorithm == nullptr) return Refused("the header has no alg");
  std::optional<absl::string_view> key_id;
  if (header->contains("kid")) {
    const std::string* const id = StringMember(*header, "kid");
    if (id == nullptr) return Refused("kid is no string");
    key_id = *id;
  }
  const absl::StatusOr<const VerificationKey*> key = keys_.Find(*algorithm, key_id);
  if (!key.ok()) return key.status();
  const std::optional<std::string> signature = DecodeBase64Url(parts[2]);
  const absl::string_view signed_text = token.substr(0, parts[0].size() + 1 + parts[1].size());
  if (!signature.has_value() || !(*key)->Verifies(signed_text, *signature)) return Refused("the signature is wrong");
  std::optional<std::string> claims = DecodeBase64Url(parts[1]);
  if (!claims.has_value()) return Refused("the claims are malformed");
  return *std::move(claims);
}

absl::StatusOr<Identity> JwtVerifier::Verify(absl::string_view token, absl::Time now) const {
  const absl::StatusOr<std::string> text = SignedClaims(token);
  if (!text.ok()) return text.status();
  const std::optional<json> claims = ParseJsonObject(*text);
  if (!claims.has_value()) return Refused("the claims are malformed");
  const std::string* const issuer = StringMember(*claims, "iss");
  if (issuer == nullptr || *issuer != options_.issuer) return Refused("iss is not the issuer");
  if (!HasAudience(*claims, options_.audience)) return Refused("aud has not the audience");
  const std::optional<absl::Time> expires = claims->contains("exp") ? TimeClaim(claims->at("exp")) : std::nullopt;
  if (!expires.has_value()) return Refused("exp is missing or no time");
  if (now >= *expires + kLeeway) return Refused("the token has expired");
  if (claims->contains("nbf")) {
    const std::optional<absl::Time> begin = TimeClaim(claims->at("nbf"));
    if (!begin.has_value()) return Refused("nbf is no time");
    if (now < *begin - kLeeway) return absl::UnavailableError("the token is not valid yet (nbf)");
  }
  const std::string* const name = StringMember(*claims, options_.principal_claim);
  if (name == nullptr) return Refused(absl::StrCat("the claim ", options_.principal_claim, " is missing or no string"));
  std::optional<Principal> principal = Principal::Parse(*name);
  if (!principal.has_value()) {
    return Refused(absl::StrCat("the claim ", options_.principal_claim, " is no legal principal"));
  }
  return Identity{*std::move(principal), *expires + kLeeway};
}

}  // namespace holdfast::service
