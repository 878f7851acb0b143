// The questions that a request of Envoy's rate limit service puts to RateLimiter objects, and the response that their
// answers make.
//
// A plan has checks in groups; a group is one CheckLimits, so it is counted as a whole or not at all. Each descriptor
// that has a limit is a group of its own. In a domain with all_or_nothing the descriptors that may deny are one group,
// for the one object of that domain. By themselves stay there, too: those in shadow mode, and those that only peek.
//
// A group only peeks if all of it has no hits, or if it is denied whatever its objects say: more hits than the limit,
// or beside a limit of 0.
//
// Threading: a plan belongs to one call. There is no I/O here.

#ifndef HOLDFAST_SERVICE_RATELIMIT_LIMIT_PLAN_H_
#define HOLDFAST_SERVICE_RATELIMIT_LIMIT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "holdfast/config/v1/config.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "service/metrics/node_load.h"
#include "service/ratelimit/rules.h"

namespace holdfast::service {

// A group is one CheckLimits, which takes as many checks.
inline constexpr int kDescriptorsMax = 100;
inline constexpr int kEntriesMax = 64;

struct LimitOptions {
  std::string ns;
  uint32_t objects_per_domain;
  v1::RateLimitAlgorithm algorithm;  // of rules that name none, and of limits that a descriptor brings
  bool response_headers;
};
LimitOptions LimitOptionsOf(const config::v1::RateLimitServiceConfig& config);

class LimitPlan {
 public:
  using Request = envoy::service::ratelimit::v3::RateLimitRequest;
  using Response = envoy::service::ratelimit::v3::RateLimitResponse;

  // INVALID_ARGUMENT names the field of the request. The options outlive the plan.
  static absl::StatusOr<LimitPlan> Make(const RuleSet& rules, const LimitOptions& options, const Request& request);

  const std::vector<v1::CheckLimitsRequest>& groups() const { return groups_; }
  // Writes the response out of the responses to the groups, which are in their order. Returns how many descriptors have
  // which outcome.
  DescriptorCounts Answer(const std::vector<v1::CheckLimitsResponse>& results, Response* response) const;

 private:
  struct Planned {
    enum class Kind {
      kNoRule,     // OK
      kUnlimited,  // OK
      kBlocked,    // over a limit of 0
      kChecked,    // as its check says
    };
    Kind kind = Kind::kNoRule;
    Response::RateLimit limit;
    v1::RateLimitAlgorithm algorithm = v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED;
    bool shadow = false;
    uint64_t hits = 0;
    bool over = false;  // whatever the check says
    size_t group = 0;
    int check = 0;
  };

  explicit LimitPlan(const LimitOptions* options) : options_(options) {}
  // Finds the limit of a descriptor.
  absl::Status FindLimit(const Descriptor& descriptor, const std::string& path, const std::vector<const Rule*>& rules,
                         Planned* planned) const;
  // Adds the check of a descriptor to the group that it belongs to.
  void AddCheck(const Domain& domain, const Descriptor& descriptor, const std::vector<const Rule*>& rules,
                Planned* planned);
  size_t AddGroup(const std::string& object);
  // Adds a check to the group that is counted as a whole, or its cost to that of the same check before it.
  void AddTogether(const Domain& domain, v1::RateLimit check, Planned* planned);
  static void AddHeaders(const Response::DescriptorStatus& status, Response* response);

  const LimitOptions* options_;
  std::vector<Planned> descriptors_;
  std::vector<v1::CheckLimitsRequest> groups_;
  bool has_together_ = false;
  size_t together_ = 0;  // the group that is counted as a whole, if there is one
  bool denied_ = false;  // that group is denied, whatever its checks say
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_RATELIMIT_LIMIT_PLAN_H_
