#include "service/access/tokens.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/credentials.h"

namespace holdfast::service {
namespace {

constexpr size_t kHashBytes = SHA256_DIGEST_LENGTH;

absl::Status LineError(size_t line, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", problem));
}

bool IsHash(absl::string_view word) {
  return word.size() == 2 * kHashBytes && std::all_of(word.begin(), word.end(), absl::ascii_isxdigit);
}

uint64_t KeyOf(absl::string_view hash) {
  uint64_t key;
  std::memcpy(&key, hash.data(), sizeof(key));
  return key;
}

// Returns the words of a line up to its comment.
std::vector<absl::string_view> WordsOf(absl::string_view line) {
  std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  words.erase(std::find_if(words.begin(), words.end(), [](absl::string_view word) { return word.front() == '#'; }),
              words.end());
  return words;
}

// Parses RFC 3339 with a year of four digits. ParseTime by itself also knows words, such as infinite-future.
bool ParseExpiry(absl::string_view word, absl::Time* time) {
  return absl::ParseTime(absl::RFC3339_full, word, time, nullptr) &&
         *time >= absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone()) &&
         *time < absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Parse(absl::string_view text) {
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the token file is over ", kFileBytesMax, " bytes"));
  }
  absl::ConsumeSuffix(&text, "\n");
  Tokens tokens;
  absl::flat_hash_map<Principal, size_t> lines;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (++number > kLinesMax) {
      return absl::InvalidArgumentError(absl::StrCat("the token file has over ", kLinesMax, " lines"));
    }
    const std::vector<absl::string_view> words = WordsOf(line);
    if (words.empty()) continue;
    if (absl::Status status = tokens.AddLine(words, number, &lines); !status.ok()) return status;
  }
  return tokens;
}

absl::Status Tokens::AddLine(const std::vector<absl::string_view>& words, size_t line,
                             absl::flat_hash_map<Principal, size_t>* lines) {
  // The commonest mistake first: the token itself in place of its hash.
  if (std::any_of(words.begin(), words.end(), IsToken)) {
    return LineError(line, "a token does not belong into this file, only its SHA-256; make a new one, this is leaked");
  }
  if (words.size() < 2 || words.size() > 3) return LineError(line, "a line is NAME SHA256-HEX [EXPIRES]");
  const std::optional<Principal> principal = Principal::Parse(words[0]);
  if (!principal.has_value() || IsHash(words[0])) {
    return LineError(line, absl::StrCat("the name must be at most ", kPrincipalBytesMax,
                                        " printable ASCII characters without *, and no hash"));
  }
  if (!IsHash(words[1])) return LineError(line, "the SHA-256 must be 64 hex digits");
  absl::Time expires = absl::InfiniteFuture();
  if (words.size() == 3 && !ParseExpiry(words[2], &expires)) {
    return LineError(line, "the expiry must be a time such as 2027-01-01T00:00:00Z");
  }
  if (const auto [entry, is_new] = lines->try_emplace(*principal, line); !is_new) {
    return LineError(line, absl::StrCat("has the name of line ", entry->second));
  }
  std::string hash = absl::HexStringToBytes(words[1]);
  if (const Token* other = FindHash(hash); other != nullptr) {
    return LineError(line, absl::StrCat("has the hash of line ", other->line));
  }
  const uint64_t key = KeyOf(hash);
  tokens_[key].push_back({.hash = std::move(hash), .identity = {*principal, expires}, .line = line});
  ++size_;
  return absl::OkStatus();
}

const Tokens::Token* Tokens::FindHash(absl::string_view hash) const {
  const auto found = tokens_.find(KeyOf(hash));
  if (found == tokens_.end()) return nullptr;
  for (const Token& token : found->second) {
    if (CRYPTO_memcmp(token.hash.data(), hash.data(), kHashBytes) == 0) return &token;
  }
  return nullptr;
}

absl::StatusOr<Identity> Tokens::Find(absl::string_view token, absl::Time now) const {
  if (!IsToken(token)) return absl::UnauthenticatedError("has not the form of a token");
  const Token* const found = FindHash(TokenHash(token));
  if (found == nullptr) return absl::UnauthenticatedError("the token is unknown");
  if (now >= found->identity.expires) {
    return absl::UnauthenticatedError(absl::StrCat("the token of ", found->identity.principal.name(), " expired at ",
                                                   absl::FormatTime(found->identity.expires, absl::UTCTimeZone())));
  }
  return found->identity;
}

}  // namespace holdfast::service
