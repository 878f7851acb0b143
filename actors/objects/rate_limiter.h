// Exact rate limits that survive a crash. The class shows how an object keeps a table in memory too, and how its alarm
// cleans up.
//
// The allowed requests of a sliding-window log are in the rows of `requests`, several in each
// (actors/objects/request_log.h); a denial leaves nothing, so a key has at most `limit` rows. A check that is counted
// writes its request into the newest row, and nothing else but the removal of a row whose requests are all too old. A
// row of `limits` says that a key is in use, and when the sweep, the object's alarm, looks whether it has fallen
// silent. States are kept in memory, bounded, and read back when they are needed again.
//
// The sweep removes a key when all of its windows are over, so a limiter without keys answers like a new one. It sets
// no alarm then, and the runtime ends the object in the same commit.
//
// A log may be long and a key may have many windows, so reading a log, the sweep and ResetLimit go in parts that delay
// no other object. ResetLimit first removes requests, then limits, each part in a turn of its own: a crash between them
// leaves rows of limits, which the sweep finds. What is counted between these turns stays; a row that has requests from
// before the reset and from after it loses the costs of the former.
//
// Schema: version 0 had one request in each row; version 1 has several, and leaves the rows of version 0 as they are.

#ifndef HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_
#define HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/objects/lru_cache.h"
#include "actors/objects/rate_limit.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "holdfast/v1/rate_limiter_service.pb.h"
#include "storage/object/table.h"

namespace holdfast::actors {

class RateLimiter : public Object {
 public:
  explicit RateLimiter(ObjectContext* context);
  static const ObjectClass& Class();

  Task<absl::Status> CheckLimit(const v1::CheckLimitRequest& request, v1::CheckLimitResponse* response);
  Task<absl::Status> CheckLimits(const v1::CheckLimitsRequest& request, v1::CheckLimitsResponse* response);
  Task<absl::Status> ResetLimit(const v1::ResetLimitRequest& request, v1::ResetLimitResponse* response);
  // Runs the sweep.
  Task<absl::Status> OnAlarm(const AlarmRun& run) override;

  size_t MemoryBytes() const override { return sizeof(*this) + states_.weight() + windows_.weight(); }

 private:
  // Returns the state of the window, from memory or from storage, or a new one if the window was never used.
  Task<absl::StatusOr<LimitState*>> Find(const LimitCheck& check);
  // Counts all checks or none, and returns whether they are allowed. `responses` are in the order of the checks.
  Task<absl::StatusOr<bool>> CheckAll(const std::vector<LimitCheck>& checks, bool peek,
                                      const std::vector<v1::CheckLimitResponse*>& responses);
  void Count(const LimitCheck& check, LimitState* state, int64_t now_us);
  // Removes the rows of which every request has expired, up to a bound. `limit` names the window of the log.
  void RemoveExpired(const storage::v1::LimitRow& limit, RequestLog* log, int64_t now_us);
  // Writes the row to which a request was just added.
  void WriteNewest(const storage::v1::LimitRow& limit, const RequestLog& log);
  // Counts a check with a negative cost.
  void GiveBack(const LimitCheck& check, LimitState* state, int64_t now_us);
  // An error if a key would have too many windows with those that the checks would begin.
  Task<absl::Status> CheckWindows(const std::vector<LimitCheck>& checks, const std::vector<LimitState*>& states);
  // The two steps of ResetLimit, for all rows whose primary keys begin with `prefix`.
  Task<absl::Status> ResetRequests(const std::string& prefix, int64_t up_to_us);
  Task<absl::Status> ResetLimits(const std::string& prefix);
  // Removes the window from storage and from memory. Its requests must already be removed.
  void EraseWindow(const storage::v1::LimitRow& row);
  // Sets the alarm so that the sweep runs at most kSweepStep after `time_us`.
  void SweepBy(int64_t time_us);
  // Returns the time from which each window is as if it had never been used.
  Task<absl::StatusOr<std::vector<int64_t>>> SilentFrom(const std::vector<storage::v1::LimitRow>& rows);

  storage::Table<storage::v1::RequestRow> requests_;
  storage::Table<storage::v1::LimitRow> limits_;
  LruCache<LimitState> states_;  // by the primary keys of `limits`
  int64_t asked_us_ = 0;         // the time of the last check since the load
  LruCache<int64_t> windows_;    // the number of rows of `limits` that a key has, by KeyPrefix() of the key
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_RATE_LIMITER_H_
