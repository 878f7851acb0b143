#include "tests/bench/load.h"

#include <algorithm>
#include <cmath>

#include "absl/time/clock.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kDrainMax = absl::Seconds(30);

class Load final : public Sink {
 public:
  Load(Transport* transport, const LoadOptions& options)
      : transport_(transport), options_(options), due_(static_cast<size_t>(options.outstanding)) {
    for (int slot = options.outstanding - 1; slot >= 0; --slot) free_.push_back(slot);
  }

  LoadResult Run(MeasureHooks* hooks) {
    Drive(options_.warm_up);
    if (hooks != nullptr) hooks->Begin();
    measuring_ = true;
    result_ = {};
    const absl::Time begin = absl::Now();
    Drive(options_.time);
    measuring_ = options_.rate_per_s > 0;  // calls that were due in time count, however late they end
    result_.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
    if (hooks != nullptr) hooks->End();
    Drain();
    result_.p50_us = Quantile(&micros_, 0.5);
    result_.p99_us = Quantile(&micros_, 0.99);
    result_.p999_us = Quantile(&micros_, 0.999);
    return result_;
  }

  void Ended(int slot, bool ok) override {
    free_.push_back(slot);
    if (!measuring_) return;
    // In the open loop, calls that were due during the warm-up do not count.
    const absl::Time due = due_[static_cast<size_t>(slot)];
    if (options_.rate_per_s > 0 && due < open_begin_) return;
    if (!ok) {
      ++result_.failures;
      return;
    }
    ++result_.calls;
    micros_.push_back(static_cast<float>(absl::ToDoubleMicroseconds(absl::Now() - due)));
  }

 private:
  void Drive(absl::Duration time) {
    const absl::Time begin = absl::Now();
    const absl::Time end = begin + time;
    open_begin_ = begin;
    int64_t due_count = 0;
    for (absl::Time now = begin; now < end; now = absl::Now()) {
      absl::Time wake = end;
      if (options_.rate_per_s <= 0) {
        while (!free_.empty()) Begin(now);
      } else {
        absl::Time due = begin + absl::Seconds(static_cast<double>(due_count) / options_.rate_per_s);
        while (due <= now && !free_.empty()) {
          Begin(due);
          ++due_count;
          due = begin + absl::Seconds(static_cast<double>(due_count) / options_.rate_per_s);
        }
        if (!free_.empty()) wake = std::min(end, due);
      }
      transport_->Poll(wake, this);
    }
    // A call that was due and found no slot is at least as late as the end.
    if (options_.rate_per_s > 0 && measuring_) {
      const auto total = static_cast<int64_t>(absl::ToDoubleSeconds(time) * options_.rate_per_s);
      for (; due_count < total; ++due_count) {
        ++result_.not_begun;
        micros_.push_back(static_cast<float>(absl::ToDoubleMicroseconds(end - begin) -
                                             static_cast<double>(due_count) / options_.rate_per_s * 1e6));
      }
    }
  }

  void Begin(absl::Time due) {
    const int slot = free_.back();
    free_.pop_back();
    due_[static_cast<size_t>(slot)] = due;
    transport_->Begin(slot, number_++);
  }

  void Drain() {
    const absl::Time until = absl::Now() + kDrainMax;
    while (free_.size() < static_cast<size_t>(options_.outstanding) && absl::Now() < until) {
      transport_->Poll(until, this);
    }
    result_.failures += options_.outstanding - static_cast<int64_t>(free_.size());
  }

  Transport* const transport_;
  const LoadOptions options_;
  std::vector<absl::Time> due_;
  std::vector<int> free_;
  absl::Time open_begin_;
  int64_t number_ = 0;
  bool measuring_ = false;
  LoadResult result_;
  std::vector<float> micros_;
};

}  // namespace

double Quantile(std::vector<float>* values, double q) {
  if (values->empty()) return 0;
  const auto index = std::min(values->size() - 1, static_cast<size_t>(q * static_cast<double>(values->size())));
  std::nth_element(values->begin(), values->begin() + static_cast<std::ptrdiff_t>(index), values->end());
  return (*values)[index];
}

LoadResult RunLoad(Transport* transport, const LoadOptions& options, MeasureHooks* hooks) {
  return Load(transport, options).Run(hooks);
}

}  // namespace holdfast::bench
