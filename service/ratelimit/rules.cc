#include "service/ratelimit/rules.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace holdfast::service {

RuleLevel::RuleLevel() = default;
RuleLevel::~RuleLevel() = default;
RuleLevel::RuleLevel(RuleLevel&&) noexcept = default;
RuleLevel& RuleLevel::operator=(RuleLevel&&) noexcept = default;

RuleLevel::Added RuleLevel::Add(std::unique_ptr<Rule> rule) {
  OfKey& of_key = keys_[rule->key];
  if (rule->value.empty()) {
    if (of_key.any != nullptr) return Added::kTwice;
    of_key.any = std::move(rule);
    return Added::kOk;
  }
  if (!rule->is_wildcard()) {
    std::string value = rule->value;
    return of_key.exact.try_emplace(std::move(value), std::move(rule)).second ? Added::kOk : Added::kTwice;
  }
  for (const auto& other : of_key.wildcards) {
    if (other->value == rule->value) return Added::kTwice;
  }
  if (of_key.wildcards.size() == kWildcardsMax) return Added::kTooManyWildcards;
  of_key.wildcards.push_back(std::move(rule));
  return Added::kOk;
}

const Rule* RuleLevel::Find(absl::string_view key, absl::string_view value) const {
  const auto of_key = keys_.find(key);
  if (of_key == keys_.end()) return nullptr;
  const auto exact = of_key->second.exact.find(value);
  if (exact != of_key->second.exact.end()) return exact->second.get();
  for (const auto& rule : of_key->second.wildcards) {
    if (absl::StartsWith(value, absl::StripSuffix(rule->value, "*"))) return rule.get();
  }
  return of_key->second.any.get();
}

bool RuleSet::Add(std::unique_ptr<Domain> domain) {
  std::string name = domain->name;
  return domains_.try_emplace(std::move(name), std::move(domain)).second;
}

const Domain* RuleSet::Find(absl::string_view name) const {
  const auto found = domains_.find(name);
  return found == domains_.end() ? nullptr : found->second.get();
}

std::vector<const Rule*> FindRules(const Domain& domain, const Descriptor& descriptor) {
  std::vector<const Rule*> rules;
  rules.reserve(static_cast<size_t>(descriptor.entries_size()));
  const RuleLevel* level = &domain.rules;
  for (const auto& entry : descriptor.entries()) {
    const Rule* const rule = level->Find(entry.key(), entry.value());
    if (rule == nullptr) return {};
    rules.push_back(rule);
    level = &rule->children;
  }
  return rules;
}

}  // namespace holdfast::service
