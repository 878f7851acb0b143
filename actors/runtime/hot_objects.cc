#include "actors/runtime/hot_objects.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace holdfast::actors {

HotObjects::HotObjects() {
  for (Step& step : steps_) step.orders.assign(kHotOrders, Sketch(kCounters));
}

void HotObjects::NextStep(absl::Time now) {
  current_ = (current_ + 1) % steps_.size();
  Step& step = steps_[current_];
  step.began = now;
  for (Sketch& sketch : step.orders) sketch.Clear();
  step_ends_ = now + kStep;
  turns_in_step_ = 0;
  turns_since_counted_ = 0;
  count_after_ = 1;
}

void HotObjects::Count(const storage::ObjectKey& key, absl::Duration time, uint64_t bytes_written) {
  const uint64_t turns = std::exchange(turns_since_counted_, 0);
  turns_in_step_ += turns;
  if (turns_in_step_ >= kAllInStep) {
    // D. Knuth's linear generator for MMIX; its high bits are good enough here.
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    count_after_ = 1 + (random_ >> 33) % (2 * kSampled - 1);
  }
  const uint64_t weights[kHotOrders] = {
      turns, turns * static_cast<uint64_t>(std::max(int64_t{1}, absl::ToInt64Nanoseconds(time))),
      turns * bytes_written};
  for (size_t order = 0; order < kHotOrders; ++order) {
    if (weights[order] == 0) continue;
    const auto [value, is_new] = steps_[current_].orders[order].Add(key.hash(), weights[order]);
    if (is_new) {
      value->encoded = key.encoded();
      value->requests = value->bytes_written = 0;
      value->time = absl::ZeroDuration();
    }
    value->requests += turns;
    value->time += time * static_cast<int64_t>(turns);
    value->bytes_written += turns * bytes_written;
  }
}

std::vector<HotObject> HotObjects::Top(HotOrder order, size_t limit, absl::Time now) {
  absl::flat_hash_map<uint64_t, HotObject> all;
  for (const Step& step : steps_) {
    if (now - step.began > kStep * static_cast<int64_t>(steps_.size())) continue;
    for (const auto& counter : step.orders[static_cast<size_t>(order)].counters()) {
      HotObject& object = all[counter.hash];
      if (object.sum == 0) object.key = storage::ObjectKey::FromEncoded(counter.value.encoded);
      object.sum += counter.sum;
      object.error += counter.error;
      object.requests += counter.value.requests;
      object.time += counter.value.time;
      object.bytes_written += counter.value.bytes_written;
    }
  }
  std::vector<HotObject> top;
  top.reserve(all.size());
  for (auto& [hash, object] : all) top.push_back(std::move(object));
  const auto larger = [](const HotObject& a, const HotObject& b) {
    return a.sum != b.sum ? a.sum > b.sum : a.key.encoded() < b.key.encoded();
  };
  const size_t count = std::min(limit, top.size());
  std::partial_sort(top.begin(), top.begin() + static_cast<std::ptrdiff_t>(count), top.end(), larger);
  top.resize(count);
  return top;
}

absl::Duration HotObjects::Window(absl::Time now) const {
  absl::Duration window = absl::ZeroDuration();
  for (const Step& step : steps_) {
    const absl::Duration age = now - step.began;
    if (age <= kStep * static_cast<int64_t>(steps_.size())) window = std::max(window, age);
  }
  return window;
}

}  // namespace holdfast::actors
