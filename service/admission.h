// Who gets in: how many calls may be in progress, and none once the server drains.
//
// Any thread.

#ifndef HOLDFAST_SERVICE_ADMISSION_H_
#define HOLDFAST_SERVICE_ADMISSION_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/errors.h"

namespace holdfast::service {

class Admission {
 public:
  explicit Admission(int64_t calls_max) : calls_max_(calls_max) {}

  // Every call that begins is counted until End; an error is its answer.
  absl::Status Begin() {
    const int64_t calls = calls_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (draining_.load(std::memory_order_relaxed)) return Draining();
    if (calls > calls_max_) {
      return actors::Retryable(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED,
                               absl::StrCat("more than ", calls_max_, " calls are in progress"),
                               absl::Milliseconds(100));
    }
    return absl::OkStatus();
  }
  void End() { calls_.fetch_sub(1, std::memory_order_relaxed); }

  void Drain() { draining_ = true; }
  bool draining() const { return draining_; }
  int64_t calls() const { return calls_; }

  static absl::Status Draining() {
    return actors::Retryable(absl::StatusCode::kUnavailable, v1::ERROR_REASON_DRAINING, "the server is shutting down",
                             absl::Seconds(1));
  }

 private:
  const int64_t calls_max_;
  std::atomic<int64_t> calls_ = 0;
  std::atomic<bool> draining_ = false;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_ADMISSION_H_
