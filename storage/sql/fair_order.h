// Picks the next of the items that wait: from the namespace that was served longest ago, the item that has used the
// least time, and among equals the one that came first.
//
// Threading: one thread at a time. Next() looks at all items; these are at most the statements that are admitted, some
// dozens.

#ifndef HOLDFAST_STORAGE_SQL_FAIR_ORDER_H_
#define HOLDFAST_STORAGE_SQL_FAIR_ORDER_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace holdfast::storage::sql {

template <typename T>
class FairOrder {
 public:
  bool empty() const { return waiting_.empty(); }

  void Add(T* item, const std::string& ns, absl::Duration used) { waiting_.push_back({item, ns, used, ++arrivals_}); }
  void Remove(const T* item) {
    std::erase_if(waiting_, [item](const Waiting& waiting) { return waiting.item == item; });
  }
  // Takes the next item out; null if none waits.
  T* Next() {
    if (waiting_.empty()) return nullptr;
    const auto rank = [this](const Waiting& waiting) {
      const auto served = served_.find(waiting.ns);
      return std::tuple(served == served_.end() ? 0 : served->second, waiting.used, waiting.arrival);
    };
    const auto next = std::min_element(waiting_.begin(), waiting_.end(),
                                       [&rank](const Waiting& a, const Waiting& b) { return rank(a) < rank(b); });
    T* const item = next->item;
    served_[next->ns] = ++turns_;
    waiting_.erase(next);
    return item;
  }
  // Forgets a namespace that has no items any more.
  void Forget(const std::string& ns) { served_.erase(ns); }

 private:
  struct Waiting {
    T* item;
    std::string ns;
    absl::Duration used;
    uint64_t arrival;
  };

  std::vector<Waiting> waiting_;
  absl::flat_hash_map<std::string, uint64_t> served_;  // the turn at which each namespace was served last
  uint64_t arrivals_ = 0;
  uint64_t turns_ = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_FAIR_ORDER_H_
