#include "service/access/policy.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

constexpr absl::string_view kVerbNames[] = {"READ", "WRITE", "ADMIN"};
constexpr char kAny[] = "*";
// Other languages of patterns give these a meaning, which nobody should expect here.
constexpr absl::string_view kNotInPatterns = "[]{}\\";

absl::Status Problem(int rule, absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("authorization.rule[", rule, "].", field, ": ", problem));
}

absl::Status CheckPattern(int rule, absl::string_view field, absl::string_view pattern) {
  if (pattern.size() > Policy::kPatternBytesMax) {
    return Problem(rule, field, absl::StrCat("has ", pattern.size(), " bytes; at most ", Policy::kPatternBytesMax));
  }
  const auto bad = std::find_if(pattern.begin(), pattern.end(), [](unsigned char c) {
    return !absl::ascii_isgraph(c) || absl::StrContains(kNotInPatterns, static_cast<char>(c));
  });
  if (bad == pattern.end()) return absl::OkStatus();
  return Problem(rule, field, "may have no blanks and none of []{}\\; * and ? stand for other characters");
}

}  // namespace

absl::string_view VerbName(Verb verb) { return kVerbNames[static_cast<int>(verb)]; }

bool MatchesPattern(absl::string_view pattern, absl::string_view text) {
  size_t p = 0;
  size_t t = 0;
  // The last star and the end of what it stands for so far. Only the last star needs another try: what an earlier one
  // stands for was found as short as possible, and longer would leave the later parts less.
  size_t star = absl::string_view::npos;
  size_t star_end = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_end = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == absl::string_view::npos;
}

bool Rights::OnObject(Verb verb, absl::string_view ns, absl::string_view object_class) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return rule.Has(verb) && MatchesPattern(rule.ns, ns) && MatchesPattern(rule.object_class, object_class);
  });
}

bool Rights::InNamespace(Verb verb, absl::string_view ns) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return rule.Has(verb) && MatchesPattern(rule.ns, ns); });
}

bool Rights::OnAnything(Verb verb) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) { return rule.Has(verb); });
}

bool Rights::OnEverything(Verb verb) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return rule.Has(verb) && rule.ns == kAny && rule.object_class == kAny; });
}

absl::StatusOr<Policy> Policy::Compile(const config::v1::AuthorizationConfig& authorization) {
  using config::v1::AuthorizationRule;
  if (authorization.rule_size() > kRulesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("authorization.rule: there are ", authorization.rule_size(), "; at most ", kRulesMax));
  }
  Policy policy;
  for (int i = 0; i < authorization.rule_size(); ++i) {
    const AuthorizationRule& from = authorization.rule(i);
    Rights::Rule rule{
        .principal = from.principal(), .ns = from.namespace_(), .object_class = from.object_class(), .verbs = 0};
    for (const auto& [field, pattern] : {std::pair("principal", &rule.principal), std::pair("namespace", &rule.ns),
                                         std::pair("object_class", &rule.object_class)}) {
      if (absl::Status status = CheckPattern(i, field, *pattern); !status.ok()) return status;
      if (pattern->empty()) *pattern = kAny;
    }
    if (from.verb_size() == 0) return Problem(i, "verb", "is missing: READ, WRITE or ADMIN");
    for (const int verb : from.verb()) {
      if (verb < AuthorizationRule::VERB_READ || verb > AuthorizationRule::VERB_ADMIN) {
        return Problem(i, "verb", absl::StrCat(verb, " is none of READ, WRITE, ADMIN"));
      }
      rule.verbs |= static_cast<uint8_t>(1 << (verb - AuthorizationRule::VERB_READ));
    }
    policy.rules_.push_back(std::move(rule));
  }
  return policy;
}

Rights Policy::RightsOf(absl::string_view principal) const {
  Rights rights;
  std::copy_if(rules_.begin(), rules_.end(), std::back_inserter(rights.rules_),
               [&](const Rights::Rule& rule) { return MatchesPattern(rule.principal, principal); });
  return rights;
}

}  // namespace holdfast::service
