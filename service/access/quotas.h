// The rate of requests that a namespace may have.
//
// Each namespace has a bucket that holds `burst` requests and fills at `requests_per_second` (as the generic cell rate
// algorithm of ITU-T I.371, which keeps one time in place of a level and a time). Namespaces without quotas of their
// own share the default's numbers, and have a bucket each.
//
// Each node of a cluster counts the calls that clients make to it, and gives them its share of the rate and the burst:
// with n live nodes the n-th part, and one request at least at a time. So the rates hold for the cluster as a whole. A
// namespace whose clients call one node alone gets that node's share. While nodes come and go, each has the share of
// the number that it knows, so that for a moment the rate may be passed by what a node too many gives.
//
// Bounds: clients choose the names of namespaces, so at most kBucketsMax that have the default are remembered. When
// there are more, those whose buckets are full are forgotten, which changes nothing for them; if all are in use the
// others share one bucket.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_ACCESS_QUOTAS_H_
#define HOLDFAST_SERVICE_ACCESS_QUOTAS_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class Quotas {
 public:
  using Config = google::protobuf::RepeatedPtrField<config::v1::NamespaceConfig>;
  static constexpr size_t kBucketsMax = 10'000;
  static constexpr int kNamespacesMax = 10'000;

  // Returns an error that names the setting, as "namespace[3].name", if there are too many, or two of one name.
  static absl::Status Check(const Config& config);

  // `config` has passed Check.
  explicit Quotas(const Config& config);
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;

  // Takes a request of the namespace; `now` is steady time. Returns zero, or takes none and returns the time after
  // which there is room for one. `share` is this node's part of all rates, over 0 and at most 1.
  absl::Duration Take(absl::string_view ns, absl::Time now, double share = 1);

 private:
  struct Rate {
    absl::Duration interval;   // between two requests
    absl::Duration tolerance;  // by which a request may be early: the burst, without its first
  };
  struct Bucket {
    std::optional<Rate> rate;                // none: there is no quota
    absl::Time next = absl::InfinitePast();  // when the next request would come at the even rate
  };

  static std::optional<Rate> RateOf(const config::v1::NamespaceConfig& config);
  static absl::Duration TakeFrom(Bucket* bucket, absl::Time now, double share);
  // Returns the bucket of a namespace that has the default's quotas.
  Bucket* DefaultBucket(absl::string_view ns, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::optional<Rate> default_rate_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> named_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Bucket> others_ ABSL_GUARDED_BY(mutex_);
  Bucket shared_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_QUOTAS_H_
