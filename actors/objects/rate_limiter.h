// Exact rate limits that survive a crash: the pattern of a table that the object keeps in memory too, and of an alarm
// that cleans up.
//
// Every allowed request of a sliding-window log is a row of `requests`; a denial leaves nothing, so a key has at most
// `limit` rows. A row of `limits` says that a key is in use, and when the sweep, the object's alarm, looks whether it
// has fallen silent. States are kept in memory, bounded, and read back when they are needed again.

#ifndef HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_
#define HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/object.h"
#include "actors/objects/lru_cache.h"
#include "actors/objects/rate_limit.h"
#include "actors/task.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "storage/table.h"

namespace holdfast::actors {

class RateLimiter : public Object {
 public:
  explicit RateLimiter(ObjectContext* context);
  static const ObjectClass& Class();

  Task<absl::Status> CheckLimit(const v1::CheckLimitRequest& request, v1::CheckLimitResponse* response);
  Task<absl::Status> CheckLimits(const v1::CheckLimitsRequest& request, v1::CheckLimitsResponse* response);
  Task<absl::Status> ResetLimit(const v1::ResetLimitRequest& request, v1::ResetLimitResponse* response);
  // The sweep.
  Task<absl::Status> OnAlarm(const AlarmRun& run) override;

  size_t MemoryBytes() const override { return sizeof(*this) + states_.weight(); }

 private:
  // From memory or from storage; a new one if the key was never used.
  Task<absl::StatusOr<LimitState*>> Find(const LimitCheck& check);
  // All or nothing; `responses` are in the order of the checks.
  Task<absl::StatusOr<bool>> CheckAll(const std::vector<LimitCheck>& checks, bool peek,
                                      const std::vector<v1::CheckLimitResponse*>& responses);
  void Count(const LimitCheck& check, LimitState* state, int64_t now_us);
  // The sweep looks at the key no later than then.
  void SweepBy(int64_t time_us);
  Task<absl::StatusOr<int64_t>> SilentFrom(const storage::v1::LimitRow& row);

  storage::Table<storage::v1::RequestRow> requests_;
  storage::Table<storage::v1::LimitRow> limits_;
  LruCache<LimitState> states_;  // by the primary keys of `limits`
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_
