// The rules of Envoy's rate limit service: domains, each with a tree of rules, and which rule a descriptor meets.
//
// A descriptor is a list of entries (key, value), and each level of the tree takes one of them. On a level the rule for
// exactly this key and value comes first, then the rules whose value ends in `*`, in the order of their file, by the
// text before it, and then the rule for the key alone. The first that fits is taken: if it leads no further, no other
// is tried. A limit holds where the descriptor ends; one with fewer or more entries does not meet it.
//
// Threading: rules do not change once they are made, so any thread may read them.

#ifndef HOLDFAST_SERVICE_RATELIMIT_RULES_H_
#define HOLDFAST_SERVICE_RATELIMIT_RULES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "envoy/extensions/common/ratelimit/v3/ratelimit.pb.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"

namespace holdfast::service {

using Descriptor = envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
using LimitUnit = envoy::service::ratelimit::v3::RateLimitResponse::RateLimit::Unit;

struct RuleLimit {
  bool unlimited = false;
  uint32_t requests_per_unit = 0;  // 0 denies everything
  LimitUnit unit = envoy::service::ratelimit::v3::RateLimitResponse::RateLimit::UNKNOWN;
  v1::RateLimitAlgorithm algorithm = v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED;  // that of the server
  std::string name;
  // The names of limits that do not hold for a request in which this one is met.
  std::vector<std::string> replaces;
};

struct Rule;

// The rules of one level that have the same parent.
class RuleLevel {
 public:
  // The most rules of a level whose values end in `*`, for one key: each descriptor may be compared with all of them.
  static constexpr size_t kWildcardsMax = 100;

  RuleLevel();
  ~RuleLevel();
  RuleLevel(RuleLevel&&) noexcept;
  RuleLevel& operator=(RuleLevel&&) noexcept;

  enum class Added { kOk, kTwice, kTooManyWildcards };
  Added Add(std::unique_ptr<Rule> rule);
  // Returns the rule that an entry meets; null if there is none.
  const Rule* Find(absl::string_view key, absl::string_view value) const;
  bool empty() const { return keys_.empty(); }

 private:
  struct OfKey {
    absl::flat_hash_map<std::string, std::unique_ptr<Rule>> exact;  // by value
    std::vector<std::unique_ptr<Rule>> wildcards;
    std::unique_ptr<Rule> any;
  };
  absl::flat_hash_map<std::string, OfKey> keys_;
};

struct Rule {
  std::string key;
  std::string value;  // "": any; with a `*` at its end: all that begin so
  bool has_limit = false;
  RuleLimit limit;
  bool shadow = false;            // the limit counts, and denies nothing
  bool shares_threshold = false;  // all values that the rule fits have the limit together
  RuleLevel children;

  bool is_wildcard() const { return !value.empty() && value.back() == '*'; }
};

struct Domain {
  std::string name;
  bool all_or_nothing = false;
  RuleLevel rules;
};

class RuleSet {
 public:
  // False if there is a domain of this name.
  bool Add(std::unique_ptr<Domain> domain);
  // Returns null if there is none.
  const Domain* Find(absl::string_view name) const;
  size_t domains() const { return domains_.size(); }

 private:
  absl::flat_hash_map<std::string, std::unique_ptr<Domain>> domains_;
};

// Returns the rules that the entries of the descriptor meet, one for each entry; empty if they do not lead to a rule.
std::vector<const Rule*> FindRules(const Domain& domain, const Descriptor& descriptor);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_RULES_H_
