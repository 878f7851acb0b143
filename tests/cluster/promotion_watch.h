// Notes when another server of a replicated database becomes the primary, as the servers themselves tell it.
//
// Threading: one thread makes it and waits; a thread of its own asks the servers, every 10 ms.

#ifndef HOLDFAST_TESTS_CLUSTER_PROMOTION_WATCH_H_
#define HOLDFAST_TESTS_CLUSTER_PROMOTION_WATCH_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::testing {

// Times are those of NowUs().
struct Promotion {
  int server;  // its place among the servers that were watched
  // It takes writes.
  int64_t promoted_us;
  // The first write of the watch itself was acknowledged: with a synchronous standby, one has it.
  int64_t written_us;
};

class PromotionWatch {
 public:
  // For libpq: each of the servers that are standbys now.
  explicit PromotionWatch(std::vector<std::string> standbys);
  // Ends the watch.
  ~PromotionWatch();
  PromotionWatch(const PromotionWatch&) = delete;
  PromotionWatch& operator=(const PromotionWatch&) = delete;

  // Returns the promotion when there was one, and a write; nothing if that takes longer.
  std::optional<Promotion> Wait(absl::Duration timeout);

 private:
  void Work();

  const std::vector<std::string> standbys_;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::condition_variable noted_;
  std::optional<Promotion> promotion_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_PROMOTION_WATCH_H_
