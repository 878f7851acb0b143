// Which objects of an executor are the busiest of the last minute: by requests, by the time of their turns, and by the
// bytes that they wrote. It is always on.
//
// There is a sketch of each order (space_saving.h) for each step of time; the minute is the last kSteps of them.
// Counters are too large by at most the share of the stream that the sketch allows, and say by how much.
//
// Cost: up to kAllInStep turns of a step are counted each; of the further ones one in kSampled, chosen at random, for
// all since the one before. Memory is fixed: kSteps + 1 steps x three orders x kCounters.
//
// Threading: the executor.

#ifndef HOLDFAST_ACTORS_RUNTIME_HOT_OBJECTS_H_
#define HOLDFAST_ACTORS_RUNTIME_HOT_OBJECTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "actors/runtime/space_saving.h"
#include "storage/store/object_id.h"

namespace holdfast::actors {

enum class HotOrder : size_t { kRequests = 0, kTime = 1, kBytesWritten = 2 };
inline constexpr size_t kHotOrders = 3;

struct HotObject {
  storage::ObjectKey key;
  uint64_t sum = 0;    // of the order
  uint64_t error = 0;  // the sum is too large by no more than this
  // These count only while the object had a counter, so they may be too small.
  uint64_t requests = 0;
  absl::Duration time = absl::ZeroDuration();
  uint64_t bytes_written = 0;
};

class HotObjects {
 public:
  static constexpr absl::Duration kStep = absl::Seconds(10);
  static constexpr size_t kSteps = 6;
  static constexpr size_t kCounters = 64;
  static constexpr uint64_t kAllInStep = 10'000;
  static constexpr uint64_t kSampled = 16;

  HotObjects();

  // A turn of a request has ended. `now` is a steady time.
  void Add(const storage::ObjectKey& key, absl::Time now, absl::Duration time, uint64_t bytes_written) {
    if (now >= step_ends_) NextStep(now);
    if (++turns_since_counted_ < count_after_) return;
    Count(key, time, bytes_written);
  }

  // Returns the objects with the largest sums, largest first, at most `limit` and no more than kCounters for each step.
  std::vector<HotObject> Top(HotOrder order, size_t limit, absl::Time now);
  // Returns the time that Top tells of: up to a minute and a step.
  absl::Duration Window(absl::Time now) const;

 private:
  struct Value {
    std::string encoded;  // the key
    uint64_t requests = 0;
    absl::Duration time;
    uint64_t bytes_written = 0;
  };
  using Sketch = SpaceSaving<Value>;
  struct Step {
    absl::Time began = absl::InfinitePast();
    std::vector<Sketch> orders;
  };

  void NextStep(absl::Time now);
  // Counts the turn for all turns since the last that was counted, and chooses the next one.
  void Count(const storage::ObjectKey& key, absl::Duration time, uint64_t bytes_written);

  std::array<Step, kSteps + 1> steps_;
  size_t current_ = 0;
  absl::Time step_ends_ = absl::InfinitePast();
  uint64_t turns_in_step_ = 0;
  uint64_t turns_since_counted_ = 0;
  uint64_t count_after_ = 1;
  uint64_t random_ = 1;  // the state of a generator, so that no pattern of turns hides an object
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_HOT_OBJECTS_H_
