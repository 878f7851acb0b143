// The keys with the largest sums of weights, out of a stream of any length, in memory for a fixed number of them. This
// is the algorithm Space-Saving: A. Metwally, D. Agrawal, A. El Abbadi, "Efficient Computation of Frequent and Top-k
// Elements in Data Streams", ICDT 2005.
//
// There are `capacity` counters. A key with a counter adds its weight to it. A key without one takes over the counter
// with the smallest sum, keeps that sum, and remembers it as its error.
//
// Invariants, for the total weight N of the stream:
//   1. The sum of a counter is at least the true sum of its key, and at most `error` larger.
//   2. No error, and no sum of a key without a counter, is over N / capacity.
//   3. A key whose true sum is over N / capacity has a counter.
//
// A key is known by its hash of 64 bits; keys with the same hash are one. Threading: one thread.

#ifndef HOLDFAST_ACTORS_RUNTIME_SPACE_SAVING_H_
#define HOLDFAST_ACTORS_RUNTIME_SPACE_SAVING_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace holdfast::actors {

// `Value` is what the counter keeps of its key beside the sum.
template <typename Value>
class SpaceSaving {
 public:
  struct Counter {
    uint64_t hash = 0;
    uint64_t sum = 0;
    uint64_t error = 0;  // the sum is too large by no more than this
    Value value;
  };

  explicit SpaceSaving(size_t capacity) : capacity_(capacity) {
    heap_.reserve(capacity);
    place_.reserve(capacity);
  }

  // Adds a weight to the key. Returns the key's value, and whether it is that of the key that had the counter before,
  // which the caller then replaces.
  std::pair<Value*, bool> Add(uint64_t hash, uint64_t weight) {
    if (const auto found = place_.find(hash); found != place_.end()) {
      const size_t place = found->second;
      heap_[place].sum += weight;
      return {&heap_[Down(place)].value, false};
    }
    if (heap_.size() < capacity_) {
      heap_.push_back({hash, weight, 0, Value()});
      place_[hash] = heap_.size() - 1;
      return {&heap_[Up(heap_.size() - 1)].value, true};
    }
    Counter& smallest = heap_.front();
    place_.erase(smallest.hash);
    smallest.hash = hash;
    smallest.error = smallest.sum;
    smallest.sum += weight;
    place_[hash] = 0;
    return {&heap_[Down(0)].value, true};
  }

  // Returns the counters in no order.
  const std::vector<Counter>& counters() const { return heap_; }
  void Clear() {
    heap_.clear();
    place_.clear();
  }

 private:
  void Swap(size_t a, size_t b) {
    std::swap(heap_[a], heap_[b]);
    place_[heap_[a].hash] = a;
    place_[heap_[b].hash] = b;
  }
  // Each returns where the counter has come to.
  size_t Down(size_t place) {
    while (true) {
      size_t smallest = place;
      for (size_t child = 2 * place + 1; child <= 2 * place + 2 && child < heap_.size(); ++child) {
        if (heap_[child].sum < heap_[smallest].sum) smallest = child;
      }
      if (smallest == place) return place;
      Swap(place, smallest);
      place = smallest;
    }
  }
  size_t Up(size_t place) {
    while (place > 0 && heap_[place].sum < heap_[(place - 1) / 2].sum) {
      Swap(place, (place - 1) / 2);
      place = (place - 1) / 2;
    }
    return place;
  }

  size_t capacity_;
  std::vector<Counter> heap_;  // the smallest sum is first
  absl::flat_hash_map<uint64_t, size_t> place_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_SPACE_SAVING_H_
