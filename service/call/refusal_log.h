// Logs that calls are refused: for each reason a line at most once a second, with the number of refusals since the last
// one. So an operator sees at once what happens, and a flood of refusals fills no log.
//
//   level=warning event=refused reason=MAILBOX_FULL count=1520 of=holdfast.v1.CounterService.Increment
//
// Bounds: a line a second for each reason of errors.proto. Threading: any thread; a refusal within the second costs an
// addition.

#ifndef HOLDFAST_SERVICE_CALL_REFUSAL_LOG_H_
#define HOLDFAST_SERVICE_CALL_REFUSAL_LOG_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "actors/executor/clock.h"
#include "holdfast/v1/errors.pb.h"
#include "storage/base/observer.h"

namespace holdfast::service {

class RefusalLog final : public storage::Observer {
 public:
  // `clock` outlives the log.
  explicit RefusalLog(const actors::Clock* clock) : clock_(clock) {}
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  void CallRefused(absl::string_view method, const absl::Status& why) override { Refused(method, why); }
  void RequestRefused(absl::string_view object_class, const absl::Status& why) override { Refused(object_class, why); }

 private:
  // `of` is the method, or the class of the object.
  void Refused(absl::string_view of, const absl::Status& why);
  struct OfReason {
    std::atomic<uint64_t> count = 0;   // since the last line
    std::atomic<int64_t> next_us = 0;  // the steady time of the next line
  };
  const actors::Clock* const clock_;
  std::array<OfReason, v1::ErrorReason_ARRAYSIZE> reasons_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_REFUSAL_LOG_H_
