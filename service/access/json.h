// Reads the JSON and the base64url of signed documents, each so that a text has one reading at most: what one program
// signed, another must not understand in another way.

#ifndef HOLDFAST_SERVICE_ACCESS_JSON_H_
#define HOLDFAST_SERVICE_ACCESS_JSON_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::service {

// Arrays and objects stand in one another at most so often.
inline constexpr size_t kJsonDepthMax = 16;

// Parses a JSON object. Returns nullopt for anything else, for an object with the same name twice, for text that is not
// UTF-8, for a number that no double holds, and for what is nested too deeply. It throws nothing.
std::optional<nlohmann::json> ParseJsonObject(absl::string_view text);

// Returns the string member of this name, or nullptr if there is none or it is of another type.
const std::string* StringMember(const nlohmann::json& object, const std::string& name);

// Decodes base64url without padding. Returns nullopt unless `text` is exactly what encoding the result gives.
std::optional<std::string> DecodeBase64Url(absl::string_view text);

// Returns text of others for a log: escaped, cut after 64 bytes, and in quotes.
std::string Quoted(absl::string_view text);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_JSON_H_
