// The budget of the SQL of one transaction: a deadline or, if the SQL must be short, a number of steps, pages and
// allocations. A spent budget stays spent until the next Begin...().
//
// The budget is checked wherever SQLite calls us, since no one place is enough: every hundred steps of its virtual
// machine, at each page that it reads (some opcodes go over a whole table), at allocations (preparing a statement is no
// step), and by functions of ours.
//
// Threading: one thread at a time.

#ifndef HOLDFAST_STORAGE_SQL_BUDGET_H_
#define HOLDFAST_STORAGE_SQL_BUDGET_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "storage/sql/short_statements.h"

namespace holdfast::storage::sql {

class Budget {
 public:
  static constexpr int kStepsBetweenCalls = 100;

  // The callbacks are those of ConnectionOptions; all but `now` may be null.
  Budget(absl::Duration time_max, absl::AnyInvocable<absl::Time()> now, absl::AnyInvocable<absl::Time()> steady,
         absl::AnyInvocable<bool()> stop, absl::AnyInvocable<absl::Duration()> yield)
      : time_max_(time_max),
        now_(std::move(now)),
        steady_(std::move(steady)),
        stop_(std::move(stop)),
        yield_(std::move(yield)) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  void BeginShort(size_t heap_bytes) { run_ = {.is_short = true, .heap_bytes_max = heap_bytes + kShortHeapBytes}; }
  void BeginTimed() { run_ = {.is_short = false, .deadline = Steady() + time_max_}; }
  // While the budget is paused, nothing is bounded: SQL of our own runs then.
  void set_paused(bool paused) { paused_ = paused; }

  // Each of these counts its event, and returns whether to go on.
  bool Steps() { return paused_ || (run_.is_short ? Take(&run_.steps_left, kStepsBetweenCalls) : OnTime()); }
  bool Page() {
    if (paused_) return true;
    ++run_.statement_pages;
    return run_.is_short ? Take(&run_.pages_left, 1) : OnTimeSometimes(kPageWeight);
  }
  bool Allocation(size_t heap_bytes) {
    if (paused_) return true;
    if (!run_.is_short) return OnTimeSometimes(1);
    if (heap_bytes > run_.heap_bytes_max) run_.spent = true;
    return Take(&run_.allocations_left, 1);
  }
  // A function is about to go over `bytes` bytes.
  bool Bytes(size_t bytes) {
    return OnTimeSometimes(static_cast<int>(std::min(bytes / kBytesOfAnAllocation, size_t{kLookAt})));
  }
  bool OnTime() {
    if (paused_ || run_.is_short || run_.spent) return !run_.spent;
    if (yield_ != nullptr) run_.deadline += yield_();
    run_.spent = Steady() >= run_.deadline || (stop_ != nullptr && stop_());
    return !run_.spent;
  }

  // Counts a statement that took `steps` steps. Returns whether it took less than half of the steps, and of the pages,
  // of a short budget.
  bool TakeStatement(int64_t steps) {
    run_.steps_left -= steps % kStepsBetweenCalls;
    if (run_.is_short && run_.steps_left <= 0) run_.spent = true;
    const int64_t pages = std::exchange(run_.statement_pages, 0);
    return steps < kShortSteps / 2 && pages < kShortPages / 2;
  }
  bool spent() const { return run_.spent; }
  bool is_short() const { return run_.is_short; }
  absl::Duration time_max() const { return time_max_; }
  absl::Time Now() { return now_(); }

 private:
  struct Run {
    bool is_short = false;
    bool spent = false;
    absl::Time deadline = absl::InfiniteFuture();
    int64_t steps_left = kShortSteps;
    int64_t pages_left = kShortPages;
    int64_t allocations_left = kShortAllocations;
    int64_t statement_pages = 0;
    size_t heap_bytes_max = 0;
    int unlooked = 0;
  };
  // The clock is looked at every 512 allocations, or 16 pages, or 64 KiB that a function goes over.
  static constexpr int kLookAt = 512;
  static constexpr int kPageWeight = 32;
  static constexpr size_t kBytesOfAnAllocation = 128;

  bool Take(int64_t* from, int64_t n) {
    *from -= n;
    if (*from <= 0) run_.spent = true;
    return !run_.spent;
  }
  bool OnTimeSometimes(int weight) {
    run_.unlooked += weight;
    if (run_.unlooked < kLookAt) return !run_.spent;
    run_.unlooked = 0;
    return OnTime();
  }

  const absl::Duration time_max_;
  absl::Time Steady() { return steady_ == nullptr ? now_() : steady_(); }

  absl::AnyInvocable<absl::Time()> now_;
  absl::AnyInvocable<absl::Time()> steady_;
  absl::AnyInvocable<bool()> stop_;
  absl::AnyInvocable<absl::Duration()> yield_;
  Run run_;
  bool paused_ = false;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_BUDGET_H_
