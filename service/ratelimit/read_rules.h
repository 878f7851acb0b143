// Reads rules from YAML, in the format of envoyproxy/ratelimit:
//
//   domain: shop
//   descriptors:
//     - key: path
//       value: /login
//       rate_limit: {unit: minute, requests_per_unit: 5}
//
// A file may have several documents, each a domain. Beside the keys of that format there are `algorithm` in rate_limit
// (sliding_window, gcra, fixed_window, calendar) and `all_or_nothing` beside `domain`. Unknown keys are refused.
//
// Bounds: kRulesFileBytesMax, and those of RuleLimits below over all files. An alias of YAML counts as often as it is
// used, so that a small file can't grow.

#ifndef HOLDFAST_SERVICE_RATELIMIT_READ_RULES_H_
#define HOLDFAST_SERVICE_RATELIMIT_READ_RULES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "service/ratelimit/rules.h"

namespace holdfast::service {

inline constexpr size_t kRulesFileBytesMax = 1 << 20;
inline constexpr size_t kDomainsMax = 1'000;
inline constexpr size_t kRulesMax = 10'000;
inline constexpr size_t kRuleDepthMax = 16;
inline constexpr size_t kRuleTextBytesMax = 512;  // of a key, a value or a name
inline constexpr size_t kReplacesMax = 100;
// A file with more problems tells the first ones only.
inline constexpr size_t kProblemsMax = 20;

class RuleReader {
 public:
  // `by_default` counts where a rule names no algorithm; it is never UNSPECIFIED.
  explicit RuleReader(v1::RateLimitAlgorithm by_default) : by_default_(by_default) {}

  // Adds the domains of a file to the rules. Returns the problems of the file: "line 3: descriptors[0].key: is
  // missing". None of the rules is valid if any file has one.
  std::vector<std::string> Read(absl::string_view text);

  // Returns all that was read.
  RuleSet Take() { return std::move(rules_); }
  size_t domains() const { return rules_.domains(); }
  size_t rules() const { return rules_read_; }

 private:
  const v1::RateLimitAlgorithm by_default_;
  RuleSet rules_;
  size_t rules_read_ = 0;
};

// Returns "" if the algorithm counts limits of this size and unit, and otherwise what is wrong with it.
std::string WhyNotCounted(v1::RateLimitAlgorithm algorithm, uint32_t requests_per_unit, LimitUnit unit);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_READ_RULES_H_
