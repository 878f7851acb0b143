#include "service/access/quotas.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace holdfast::service {
namespace {

// A sweep looks at all buckets, which takes some 100 us.
constexpr absl::Duration kSweepInterval = absl::Seconds(1);

}  // namespace

absl::Status Quotas::Check(const Config& config) {
  if (config.size() > kNamespacesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("namespace: there are ", config.size(), "; at most ", kNamespacesMax));
  }
  absl::flat_hash_set<absl::string_view> names;
  for (int i = 0; i < config.size(); ++i) {
    if (names.insert(config[i].name()).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("namespace[", i, "].name: \"", config[i].name(), "\" is there twice"));
  }
  return absl::OkStatus();
}

Quotas::Quotas(const Config& config) {
  for (const config::v1::NamespaceConfig& one : config) {
    if (one.name().empty()) {
      default_rate_ = RateOf(one);
    } else {
      named_.emplace(one.name(), Bucket{RateOf(one)});
    }
  }
  shared_.rate = default_rate_;
}

std::optional<Quotas::Rate> Quotas::RateOf(const config::v1::NamespaceConfig& config) {
  if (config.requests_per_second() == 0) return std::nullopt;
  const absl::Duration interval = absl::Seconds(1) / config.requests_per_second();
  const int burst = config.burst() == 0 ? config.requests_per_second() : config.burst();
  return Rate{interval, interval * (burst - 1)};
}

absl::Duration Quotas::TakeFrom(Bucket* bucket, absl::Time now, double share) {
  if (!bucket->rate) return absl::ZeroDuration();
  const absl::Duration interval = bucket->rate->interval / share;
  // The share of the burst takes as long as all of it does at the whole rate; its first request is not early.
  const absl::Duration tolerance =
      std::max(absl::ZeroDuration(), bucket->rate->tolerance + bucket->rate->interval - interval);
  const absl::Duration early = bucket->next - now;
  if (early > tolerance) return early - tolerance;
  bucket->next = std::max(bucket->next, now) + interval;
  return absl::ZeroDuration();
}

absl::Duration Quotas::Take(absl::string_view ns, absl::Time now, double share) {
  MutexLock lock(&mutex_);
  if (const auto found = named_.find(ns); found != named_.end()) return TakeFrom(&found->second, now, share);
  return default_rate_ ? TakeFrom(DefaultBucket(ns, now), now, share) : absl::ZeroDuration();
}

Quotas::Bucket* Quotas::DefaultBucket(absl::string_view ns, absl::Time now) {
  if (const auto found = others_.find(ns); found != others_.end()) return &found->second;
  if (others_.size() >= kBucketsMax && now >= next_sweep_) {
    next_sweep_ = now + kSweepInterval;
    absl::erase_if(others_, [now](const auto& entry) { return entry.second.next <= now; });
  }
  if (others_.size() >= kBucketsMax) return &shared_;
  return &others_.emplace(ns, Bucket{default_rate_}).first->second;
}

}  // namespace holdfast::service
