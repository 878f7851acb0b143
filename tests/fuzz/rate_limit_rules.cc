// Files of rules for Envoy's rate limit service: any text is read within its bounds, or has problems that are told; and
// what was read answers any descriptor.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/ratelimit/read_rules.h"
#include "service/ratelimit/rules.h"
#include "storage/base/check.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

void CheckRules(Input input) {
  service::Descriptor descriptor;
  for (size_t entries = input.Below(4); entries > 0; --entries) {
    auto* const entry = descriptor.add_entries();
    entry->set_key(input.Text());
    entry->set_value(input.Text());
  }
  const std::string domain = input.Text();
  service::RuleReader reader(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  const std::vector<std::string> problems = reader.Read(input.rest());
  // Each level of a document adds at most one to the first kProblemsMax.
  HOLDFAST_CHECK(problems.size() <= service::kProblemsMax + 2 * service::kRuleDepthMax, absl::StrCat(problems.size()));
  for (const std::string& problem : problems) HOLDFAST_CHECK(!problem.empty(), "a problem without words");
  if (!problems.empty()) return;
  HOLDFAST_CHECK(reader.rules() <= service::kRulesMax && reader.domains() <= service::kDomainsMax, "the bounds");
  const service::RuleSet rules = reader.Take();
  const service::Domain* const found = rules.Find(domain);
  if (found == nullptr) return;
  const std::vector<const service::Rule*> met = service::FindRules(*found, descriptor);
  HOLDFAST_CHECK(met.empty() || met.size() == static_cast<size_t>(descriptor.entries_size()), "a rule for each entry");
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  holdfast::fuzz::CheckRules(holdfast::fuzz::Input(data, bytes));
  return 0;
}
