#include "service/ratelimit/limit_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/wire/errors.h"
#include "actors/wire/wire_time.h"
#include "service/ratelimit/limit_names.h"
#include "service/ratelimit/read_rules.h"

namespace holdfast::service {
namespace {

using Response = LimitPlan::Response;
using Limit = Response::RateLimit;
using config::v1::RateLimitServiceConfig;

constexpr uint32_t kUint32Max = std::numeric_limits<uint32_t>::max();
// A window of a log lasts a microsecond longer than its length, which a client that waits whole seconds need not know.
constexpr int64_t kRestMicros = 1;

int64_t SecondsOf(LimitUnit unit) {
  switch (unit) {
    case Limit::SECOND:
      return 1;
    case Limit::MINUTE:
      return 60;
    case Limit::HOUR:
      return 3600;
    case Limit::DAY:
      return int64_t{24} * 3600;
    case Limit::WEEK:
      return int64_t{7} * 24 * 3600;
    case Limit::MONTH:
      return int64_t{30} * 24 * 3600;
    default:
      return int64_t{365} * 24 * 3600;
  }
}

v1::CalendarUnit CalendarUnitOf(LimitUnit unit) {
  switch (unit) {
    case Limit::MINUTE:
      return v1::CALENDAR_UNIT_MINUTE;
    case Limit::HOUR:
      return v1::CALENDAR_UNIT_HOUR;
    case Limit::DAY:
      return v1::CALENDAR_UNIT_DAY;
    default:
      return v1::CALENDAR_UNIT_MONTH;
  }
}

bool IsUnit(int unit) { return unit >= envoy::type::v3::SECOND && unit <= envoy::type::v3::YEAR; }

// Returns the duration in whole seconds, rounded up.
int64_t WholeSeconds(const google::protobuf::Duration& duration) {
  const int64_t micros = duration.seconds() * actors::kMicrosPerSecond + duration.nanos() / 1000;
  if (micros <= 0) return 0;
  return (micros - kRestMicros + actors::kMicrosPerSecond - 1) / actors::kMicrosPerSecond;
}

uint64_t HitsOf(const LimitPlan::Request& request, const Descriptor& descriptor) {
  if (descriptor.has_hits_addend()) return descriptor.hits_addend().value();
  return std::max(uint32_t{1}, request.hits_addend());
}

std::string KeyOf(const Descriptor& descriptor, const std::vector<const Rule*>& rules) {
  LimitKey key;
  for (int i = 0; i < descriptor.entries_size(); ++i) {
    const auto& entry = descriptor.entries(i);
    const size_t level = static_cast<size_t>(i);
    const bool shared = level < rules.size() && rules[level]->shares_threshold;
    key.Add(entry.key());
    key.Add(shared ? rules[level]->value : entry.value());
  }
  return key.Take();
}

// Returns an error that names the field if the request is none.
absl::Status CheckRequest(const LimitPlan::Request& request) {
  if (request.domain().empty()) return actors::InvalidField("domain", "must not be empty");
  if (request.descriptors().empty() || request.descriptors_size() > kDescriptorsMax) {
    return actors::InvalidField("descriptors", absl::StrCat("must be 1 to ", kDescriptorsMax, " descriptors"));
  }
  for (int i = 0; i < request.descriptors_size(); ++i) {
    const int entries = request.descriptors(i).entries_size();
    if (entries > 0 && entries <= kEntriesMax) continue;
    return actors::InvalidField(absl::StrCat("descriptors[", i, "].entries"),
                                absl::StrCat("must be 1 to ", kEntriesMax, " entries"));
  }
  return absl::OkStatus();
}

}  // namespace

LimitOptions LimitOptionsOf(const RateLimitServiceConfig& config) {
  v1::RateLimitAlgorithm algorithm = v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG;
  switch (config.default_algorithm()) {
    case RateLimitServiceConfig::ALGORITHM_GCRA:
      algorithm = v1::RATE_LIMIT_ALGORITHM_GCRA;
      break;
    case RateLimitServiceConfig::ALGORITHM_FIXED_WINDOW:
      algorithm = v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW;
      break;
    case RateLimitServiceConfig::ALGORITHM_CALENDAR:
      algorithm = v1::RATE_LIMIT_ALGORITHM_CALENDAR;
      break;
    default:
      break;
  }
  return {.ns = config.namespace_(),
          .objects_per_domain = static_cast<uint32_t>(config.objects_per_domain()),
          .algorithm = algorithm,
          .response_headers = config.response_headers()};
}

absl::StatusOr<LimitPlan> LimitPlan::Make(const RuleSet& rules, const LimitOptions& options, const Request& request) {
  if (absl::Status status = CheckRequest(request); !status.ok()) return status;
  LimitPlan plan(&options);
  plan.descriptors_.resize(static_cast<size_t>(request.descriptors_size()));
  const Domain* const domain = rules.Find(request.domain());
  if (domain == nullptr) return plan;

  std::vector<std::vector<const Rule*>> met;
  absl::flat_hash_set<absl::string_view> replaced;
  for (int i = 0; i < request.descriptors_size(); ++i) {
    const Descriptor& descriptor = request.descriptors(i);
    Planned& planned = plan.descriptors_[static_cast<size_t>(i)];
    met.push_back(FindRules(*domain, descriptor));
    absl::Status status = plan.FindLimit(descriptor, absl::StrCat("descriptors[", i, "]"), met.back(), &planned);
    if (!status.ok()) return status;
    planned.hits = HitsOf(request, descriptor);
    if (planned.kind == Planned::Kind::kNoRule || descriptor.has_limit()) continue;
    for (const std::string& name : met.back().back()->limit.replaces) replaced.insert(name);
  }
  for (int i = 0; i < request.descriptors_size(); ++i) {
    Planned& planned = plan.descriptors_[static_cast<size_t>(i)];
    if (planned.kind == Planned::Kind::kUnlimited) continue;
    if (replaced.contains(planned.limit.name())) planned.kind = Planned::Kind::kNoRule;
    if (planned.kind == Planned::Kind::kBlocked && !planned.shadow && domain->all_or_nothing && planned.hits > 0) {
      plan.denied_ = true;
    }
    if (planned.kind == Planned::Kind::kChecked) {
      plan.AddCheck(*domain, request.descriptors(i), met[static_cast<size_t>(i)], &planned);
    }
  }
  if (plan.has_together_ && plan.denied_) plan.groups_[plan.together_].set_peek(true);
  return plan;
}

absl::Status LimitPlan::FindLimit(const Descriptor& descriptor, const std::string& path,
                                  const std::vector<const Rule*>& rules, Planned* planned) const {
  const Rule* const rule = rules.empty() ? nullptr : rules.back();
  if (descriptor.has_limit()) {
    const auto& limit = descriptor.limit();
    if (!IsUnit(limit.unit())) {
      return actors::InvalidField(absl::StrCat(path, ".limit.unit"), "must be SECOND to YEAR");
    }
    planned->limit.set_requests_per_unit(limit.requests_per_unit());
    planned->limit.set_unit(static_cast<LimitUnit>(limit.unit()));
    // An error would let the request through, as Envoy does by default. GCRA counts every limit.
    const bool counted = WhyNotCounted(options_->algorithm, limit.requests_per_unit(), planned->limit.unit()).empty();
    planned->algorithm = counted ? options_->algorithm : v1::RATE_LIMIT_ALGORITHM_GCRA;
  } else if (rule == nullptr || !rule->has_limit) {
    return absl::OkStatus();
  } else if (rule->limit.unlimited) {
    planned->kind = Planned::Kind::kUnlimited;
    return absl::OkStatus();
  } else {
    planned->limit.set_requests_per_unit(rule->limit.requests_per_unit);
    planned->limit.set_unit(rule->limit.unit);
    planned->limit.set_name(rule->limit.name);
    planned->algorithm =
        rule->limit.algorithm == v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED ? options_->algorithm : rule->limit.algorithm;
    planned->shadow = rule->shadow;
  }
  planned->kind = planned->limit.requests_per_unit() == 0 ? Planned::Kind::kBlocked : Planned::Kind::kChecked;
  return absl::OkStatus();
}

size_t LimitPlan::AddGroup(const std::string& object) {
  v1::CheckLimitsRequest& group = groups_.emplace_back();
  group.mutable_object()->set_namespace_(options_->ns);
  group.mutable_object()->set_name(object);
  return groups_.size() - 1;
}

void LimitPlan::AddCheck(const Domain& domain, const Descriptor& descriptor, const std::vector<const Rule*>& rules,
                         Planned* planned) {
  v1::RateLimit check;
  check.set_key(KeyOf(descriptor, rules));
  check.set_limit(planned->limit.requests_per_unit());
  check.set_algorithm(planned->algorithm);
  if (planned->algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR) {
    check.set_calendar_unit(CalendarUnitOf(planned->limit.unit()));
  } else {
    check.mutable_window()->set_seconds(SecondsOf(planned->limit.unit()));
  }
  planned->over = planned->hits > static_cast<uint64_t>(check.limit());
  const bool peeks = planned->hits == 0 || planned->over;
  check.set_cost(peeks ? 1 : static_cast<int64_t>(planned->hits));
  if (domain.all_or_nothing && !planned->shadow) {
    if (!peeks) return AddTogether(domain, std::move(check), planned);
    if (planned->over) denied_ = true;
  }
  planned->group =
      AddGroup(domain.all_or_nothing ? ObjectOfDomain(domain.name)
                                     : ObjectOfKey(domain.name, check.key(), options_->objects_per_domain));
  groups_.back().set_peek(peeks);
  *groups_.back().add_checks() = std::move(check);
}

void LimitPlan::AddTogether(const Domain& domain, v1::RateLimit check, Planned* planned) {
  if (!has_together_) together_ = AddGroup(ObjectOfDomain(domain.name));
  has_together_ = true;
  planned->group = together_;
  v1::CheckLimitsRequest& group = groups_[together_];
  for (int i = 0; i < group.checks_size(); ++i) {
    v1::RateLimit* const same = group.mutable_checks(i);
    if (same->key() != check.key() || same->algorithm() != check.algorithm() ||
        same->window().seconds() != check.window().seconds() || same->calendar_unit() != check.calendar_unit()) {
      continue;
    }
    planned->check = i;
    same->set_limit(std::min(same->limit(), check.limit()));
    const int64_t cost = same->cost() + check.cost();
    planned->over = cost > same->limit();
    denied_ |= planned->over;
    same->set_cost(std::min(cost, same->limit()));
    return;
  }
  planned->check = group.checks_size();
  *group.add_checks() = std::move(check);
}

DescriptorCounts LimitPlan::Answer(const std::vector<v1::CheckLimitsResponse>& results, Response* response) const {
  DescriptorCounts counts = {};
  const auto count = [&counts](DescriptorOutcome outcome) { ++counts[static_cast<size_t>(outcome)]; };
  response->set_overall_code(Response::OK);
  int told = -1;  // the status that the headers tell of
  for (const Planned& planned : descriptors_) {
    Response::DescriptorStatus* const status = response->add_statuses();
    status->set_code(Response::OK);
    if (planned.kind == Planned::Kind::kNoRule) {
      count(DescriptorOutcome::kWithoutRule);
      continue;
    }
    if (planned.kind == Planned::Kind::kUnlimited) {
      count(DescriptorOutcome::kUnlimited);
      status->set_limit_remaining(kUint32Max);
      continue;
    }
    *status->mutable_current_limit() = planned.limit;
    bool over = true;
    if (planned.kind == Planned::Kind::kBlocked) {
      status->mutable_duration_until_reset()->set_seconds(SecondsOf(planned.limit.unit()));
    } else {
      const v1::CheckLimitsRequest& group = groups_[planned.group];
      const v1::CheckLimitsResponse& counted = results[planned.group];
      const v1::CheckLimitResponse& result = counted.results(planned.check);
      over = planned.over || !result.allowed();
      // A peek tells the room after the cost, which is still there.
      const int64_t untaken = group.peek() && counted.allowed() ? group.checks(planned.check).cost() : 0;
      status->set_limit_remaining(static_cast<uint32_t>(std::min(result.remaining() + untaken, int64_t{kUint32Max})));
      status->mutable_duration_until_reset()->set_seconds(
          WholeSeconds(result.allowed() ? result.reset_after() : result.retry_after()));
    }
    if (!over) {
      count(DescriptorOutcome::kOk);
    } else if (planned.shadow) {
      count(DescriptorOutcome::kOverInShadow);
    } else {
      count(DescriptorOutcome::kOver);
      status->set_code(Response::OVER_LIMIT);
      response->set_overall_code(Response::OVER_LIMIT);
    }
    const auto* const last = told < 0 ? nullptr : &response->statuses(told);
    if (last == nullptr || (status->code() > last->code()) ||
        (status->code() == last->code() && status->limit_remaining() < last->limit_remaining())) {
      told = response->statuses_size() - 1;
    }
  }
  if (options_->response_headers && told >= 0) AddHeaders(response->statuses(told), response);
  return counts;
}

void LimitPlan::AddHeaders(const Response::DescriptorStatus& status, Response* response) {
  const auto add = [response](const char* key, int64_t value) {
    auto* const header = response->add_response_headers_to_add();
    header->set_key(key);
    header->set_value(absl::StrCat(value));
  };
  add("RateLimit-Limit", status.current_limit().requests_per_unit());
  add("RateLimit-Remaining", status.limit_remaining());
  add("RateLimit-Reset", status.duration_until_reset().seconds());
  if (status.code() == Response::OVER_LIMIT) add("Retry-After", status.duration_until_reset().seconds());
}

}  // namespace holdfast::service
