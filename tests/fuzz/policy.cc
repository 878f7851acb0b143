// Policies: patterns match as a plain matcher says, and the rights that come of a text agree with each other.

#include "service/access/policy.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/config.h"
#include "storage/base/check.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

using service::Rights;
using service::Verb;

// Compares every beginning of the pattern with every beginning of the text.
bool Matches(absl::string_view pattern, absl::string_view text) {
  std::vector<bool> matches(text.size() + 1, false);
  matches[0] = true;
  for (const char each : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    for (size_t i = 0; i <= text.size(); ++i) {
      if (each == '*') {
        next[i] = matches[i] || (i > 0 && next[i - 1]);
      } else {
        next[i] = i > 0 && matches[i - 1] && (each == '?' || each == text[i - 1]);
      }
    }
    matches = std::move(next);
  }
  return matches[text.size()];
}

void CheckPatterns(Input input) {
  const std::string pattern = input.Text();
  const std::string text = input.Text();
  HOLDFAST_CHECK(service::MatchesPattern(pattern, text) == Matches(pattern, text),
                 absl::StrCat(pattern, " and ", text));
  HOLDFAST_CHECK(service::MatchesPattern("*", text), text);
}

void CheckPolicy(Input input) {
  const std::string principal = input.Text();
  const std::string ns = input.Text();
  const std::string object_class = input.Text();
  const auto config = service::ParseConfig(absl::StrCat("authorization {", input.rest(), "\n}"));
  if (!config.ok()) return;
  const auto policy = service::Policy::Compile(config->authorization());
  if (!policy.ok()) {
    HOLDFAST_CHECK(absl::StrContains(policy.status().message(), "authorization"), policy.status().ToString());
    return;
  }
  const Rights rights = policy->RightsOf(principal);
  for (const Verb verb : {Verb::kRead, Verb::kWrite, Verb::kAdmin}) {
    const bool on_object = rights.OnObject(verb, ns, object_class);
    HOLDFAST_CHECK(!on_object || rights.InNamespace(verb, ns), "a right on an object and none in its namespace");
    HOLDFAST_CHECK(!rights.InNamespace(verb, ns) || rights.OnAnything(verb), "a right in a namespace and on nothing");
    HOLDFAST_CHECK(!rights.OnEverything(verb) || on_object, "a right on everything and not on an object");
    // The model: each rule by itself.
    bool allowed = false;
    for (const auto& rule : config->authorization().rule()) {
      bool has_verb = false;
      for (const int each : rule.verb()) has_verb |= each - 1 == static_cast<int>(verb);
      // A pattern that is left out matches any.
      const auto matches = [](const std::string& pattern, const std::string& text) {
        return pattern.empty() || Matches(pattern, text);
      };
      allowed |= has_verb && matches(rule.principal(), principal) && matches(rule.namespace_(), ns) &&
                 matches(rule.object_class(), object_class);
    }
    HOLDFAST_CHECK(allowed == on_object, "the rights are not those of the rules");
  }
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::Input input(data, bytes);
  if (input.Byte() % 2 == 0) {
    holdfast::fuzz::CheckPatterns(input);
  } else {
    holdfast::fuzz::CheckPolicy(input);
  }
  return 0;
}
