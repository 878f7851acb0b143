#include "service/access/json.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

using nlohmann::json;

// Looks at what the parser meets, for what JSON allows and a signed document must not have.
class Strictness {
 public:
  bool broken() const { return broken_; }

  void See(json::parse_event_t event, const json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        names_.emplace_back();
        broken_ |= names_.size() > kJsonDepthMax;
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        names_.pop_back();
        break;
      case json::parse_event_t::key:
        broken_ |= !names_.back().insert(value.get_ref<const std::string&>()).second;
        break;
      case json::parse_event_t::value:
        break;
    }
  }

 private:
  std::vector<absl::flat_hash_set<std::string>> names_;  // of the objects that are open; empty for an array
  bool broken_ = false;
};

}  // namespace

std::optional<json> ParseJsonObject(absl::string_view text) {
  // The parser takes a NUL for the end, and would leave what follows unread.
  if (absl::StrContains(text, '\0')) return std::nullopt;
  Strictness strictness;
  const auto see = [&strictness](int, json::parse_event_t event, json& value) {
    strictness.See(event, value);
    return true;
  };
  json parsed = json::parse(text.begin(), text.end(), see, /*allow_exceptions=*/false);
  if (!parsed.is_object() || strictness.broken()) return std::nullopt;
  return parsed;
}

const std::string* StringMember(const json& object, const std::string& name) {
  const auto member = object.find(name);
  return member == object.end() ? nullptr : member->get_ptr<const std::string*>();
}

std::optional<std::string> DecodeBase64Url(absl::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(text, &bytes) || absl::WebSafeBase64Escape(bytes) != text) return std::nullopt;
  return bytes;
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kShown = 64;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kShown)), text.size() > kShown ? "...\"" : "\"");
}

}  // namespace holdfast::service
