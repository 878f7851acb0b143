// Bounds the work that signatures cost which are not right.
//
// Checking a signature takes 40 to 150 us, before the caller has any right. A client that sends made-up tokens could
// keep all threads busy with that. Two things bound it:
//   - Credentials that were not good are remembered, kFailedMax of them, and are refused again without a check.
//   - The checks that failed are counted, for each address and second. At the bound, credentials from that address that
//     are not known to be good are refused without a check until the second is over. Callers who were identified before
//     go on.
//
// An address is an IPv4 address, or the first 64 bits of an IPv6 address, which one client may have all to himself; the
// clients of a proxy that hides their addresses share one. kAddressesMax of them are counted by themselves in a second,
// all others as one.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_ACCESS_FAILED_CHECKS_H_
#define HOLDFAST_SERVICE_ACCESS_FAILED_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/mutex.h"

namespace holdfast::service {

class FailedChecks {
 public:
  static constexpr size_t kFailedMax = 4096;
  static constexpr size_t kAddressesMax = 4096;

  explicit FailedChecks(int64_t per_second_max) : per_second_max_(per_second_max) {}
  FailedChecks(const FailedChecks&) = delete;
  FailedChecks& operator=(const FailedChecks&) = delete;

  // Returns why the credentials with this key failed before; nothing if that is not known.
  std::optional<std::string> Find(const std::string& key);
  // Remembers credentials that will never be good. All are dropped when there is no room.
  void Remember(const std::string& key, absl::string_view why);

  // `peer` is the address of the client, as gRPC spells it; `now` is a steady clock.
  bool MayCheck(absl::string_view peer, absl::Time now);
  void Count(absl::string_view peer, absl::Time now);

  // Returns the part of the address that is counted: "192.0.2.1", "2001:db8:0:1::"; all of it if it is of another kind.
  static std::string AddressOf(absl::string_view peer);

 private:
  // Returns the count of an address in this second.
  int64_t& CountOf(absl::string_view peer, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t per_second_max_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, std::string> failed_ ABSL_GUARDED_BY(mutex_);
  int64_t second_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mutex_);  // of that second
  int64_t others_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ACCESS_FAILED_CHECKS_H_
