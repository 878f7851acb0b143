// A map that keeps the most recently used entries, up to a bound on their total weight.
//
// The map grows beyond the bound until Trim is called, so a turn may keep pointers to entries until it calls Trim.

#ifndef HOLDFAST_ACTORS_OBJECTS_LRU_CACHE_H_
#define HOLDFAST_ACTORS_OBJECTS_LRU_CACHE_H_

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace holdfast::actors {

template <typename Value>
class LruCache {
 public:
  explicit LruCache(size_t weight_max) : weight_max_(weight_max) {}

  // Returns the value of the key and makes it the newest; null if it is not there.
  Value* Find(absl::string_view key) {
    auto it = by_key_.find(key);
    if (it == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, it->second);
    return &it->second->value;
  }
  Value* Insert(const std::string& key, Value value) {
    Erase(key);
    entries_.push_front({key, std::move(value), 0});
    by_key_[key] = entries_.begin();
    return &entries_.front().value;
  }
  void Erase(absl::string_view key) {
    auto it = by_key_.find(key);
    if (it == by_key_.end()) return;
    weight_ -= it->second->weight;
    entries_.erase(it->second);
    by_key_.erase(it);
  }
  // Sets the weight of an entry; it is 0 after Insert.
  void SetWeight(absl::string_view key, size_t weight) {
    auto it = by_key_.find(key);
    if (it == by_key_.end()) return;
    weight_ += weight - it->second->weight;
    it->second->weight = weight;
  }
  void Trim() {
    while (weight_ > weight_max_ && entries_.size() > 1) Erase(std::string(entries_.back().key));
  }

  size_t weight() const { return weight_; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Value value;
    size_t weight;
  };

  const size_t weight_max_;
  size_t weight_ = 0;
  std::list<Entry> entries_;  // newest first
  absl::flat_hash_map<std::string, typename std::list<Entry>::iterator> by_key_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_LRU_CACHE_H_
