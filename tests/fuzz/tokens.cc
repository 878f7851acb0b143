// Fuzzes the token file: the text up to the first NUL is a file, the rest is a token that is looked up in it.

#include "service/access/tokens.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "proto/credentials.h"
#include "proto/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using holdfast::service::Tokens;
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  const absl::string_view text = input.substr(0, end);
  const absl::string_view token = end == absl::string_view::npos ? "" : input.substr(end + 1);

  const absl::StatusOr<Tokens> tokens = Tokens::Parse(text);
  if (!tokens.ok()) {
    // The message is for a log: short, and without what the line holds.
    const bool safe = tokens.status().message().size() < 200 && holdfast::IsUtf8(tokens.status().message());
    if (!safe) std::abort();
    return 0;
  }
  if (tokens->size() > Tokens::kLinesMax) std::abort();
  const auto found = tokens->Find(token, absl::FromUnixSeconds(1'780'000'000));
  if (!found.ok()) return 0;
  // Whoever is let in stands in the file, by name and by hash.
  const std::string hash = absl::BytesToHexString(holdfast::TokenHash(token));
  const bool listed = absl::StrContains(absl::AsciiStrToLower(text), hash) &&
                      absl::StrContains(text, found->principal.name()) && holdfast::IsToken(token) &&
                      found->expires > absl::FromUnixSeconds(1'780'000'000);
  if (!listed) std::abort();
  return 0;
}
