#include "actors/runtime/alarm_loads.h"

#include <algorithm>
#include <utility>

#include "storage/node/families.h"

namespace holdfast::actors {

void AlarmLoads::Add(Alarm alarm) {
  untouched_[alarm.key] = ++alarms_;
  gathered_.push_back({std::move(alarm), alarms_});
  BeginSoon();
}

void AlarmLoads::BeginSoon() {
  if (std::exchange(begins_soon_, true)) return;
  executor_->Post([this] {
    begins_soon_ = false;
    Begin();
  });
}

void AlarmLoads::Begin() {
  if (gathered_.size() < together_min_) {
    for (Waiting& waiting : std::exchange(gathered_, {})) deliver_(std::move(waiting.alarm), nullptr);
    return;
  }
  if (!being_read_.empty()) return;
  being_read_ = std::exchange(gathered_, {});
  const auto orders = std::make_shared<Orders>();
  orders->reserve(being_read_.size());
  for (const Waiting& waiting : being_read_) {
    const Alarm& alarm = waiting.alarm;
    orders->push_back(
        {.location = storage::PackedLocation(alarm.key), .last = alarm.object_class->alarm_reads_to, .read = {}});
  }
  reads_->Run([orders, store = store_] { storage::ReadAhead(store, absl::MakeSpan(*orders)); },
              [this, orders] { DeliverRead(orders, 0); });
}

void AlarmLoads::DeliverRead(const std::shared_ptr<Orders>& orders, size_t from) {
  const size_t end = std::min(orders->size(), from + kAtOnceMax);
  for (size_t i = from; i < end; ++i) {
    Waiting& waiting = being_read_[i];
    const auto untouched = untouched_.find(waiting.alarm.key);
    const bool counts = untouched != untouched_.end() && untouched->second == waiting.number;
    deliver_(std::move(waiting.alarm), counts ? std::move((*orders)[i].read) : nullptr);
  }
  if (end < orders->size()) {
    executor_->Post([this, orders, end] { DeliverRead(orders, end); });
    return;
  }
  being_read_.clear();
  if (!gathered_.empty()) BeginSoon();
}

}  // namespace holdfast::actors
