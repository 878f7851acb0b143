// The history that several clients have seen of a cluster, and a check of whether it can be true.
//
// A call lasts from when it was first sent until it was answered; what was sent again with the same request id is one
// call. All times are of one monotonic clock. A call without an answer may have happened or not.
//
// The check knows three kinds of objects:
//   counters        Each increment gives a value of its own, which is above all that anybody had seen before it was
//                   sent; a read tells at least that. No value is above the number of increments that were sent.
//   unique numbers  are a counter that begins at 0.
//   rate limits     No span of the window's length has more allowed checks than the limit.
//
// These are all wrong orders that can be told apart for objects which only count up: values are their own order.

#ifndef HOLDFAST_TESTS_CLUSTER_HISTORY_H_
#define HOLDFAST_TESTS_CLUSTER_HISTORY_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::testing {

struct SeenCall {
  enum class Kind { kIncrement, kRead, kUniqueNumber, kAllowed };
  Kind kind;
  std::string object;
  int64_t sent_us = 0;
  std::optional<int64_t> answered_us = std::nullopt;
  int64_t value = 0;  // of the answer; none for kAllowed
};

// One thing that can't be true.
struct Finding {
  enum class Kind {
    kLost,     // what somebody was told is gone
    kDoubled,  // something has happened twice, or more often than anybody asked for
    kOther,
  };
  Kind kind;
  std::string what;
};

struct Limit {
  int64_t checks;
  int64_t window_us;
};

// Returns all that is wrong with the calls. Each allowed check is one of `limit`.
std::vector<Finding> FindingsOf(const std::vector<SeenCall>& calls, const Limit& limit);

// The calls of all clients. Any thread adds to it.
class History {
 public:
  void Add(SeenCall call);
  std::vector<SeenCall> calls() const;
  int64_t answered() const;
  // The longest time from when a call was sent until it was answered, of the calls that were answered at `since_us` or
  // later: how long a client had to wait because of a fault at that time.
  int64_t LongestUs(int64_t since_us) const;
  // When the first change of a counter was answered at `since_us` or later. A change takes a commit; a read may take
  // none.
  std::optional<int64_t> FirstChangeUs(int64_t since_us) const;

 private:
  mutable std::mutex mutex_;
  std::vector<SeenCall> calls_;  // guarded by mutex_
};

// The time by which calls are noted.
int64_t NowUs();

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_HISTORY_H_
