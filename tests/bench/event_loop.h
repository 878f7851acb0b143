// An event loop of libevent, which a transport drives.

#ifndef HOLDFAST_TESTS_BENCH_EVENT_LOOP_H_
#define HOLDFAST_TESTS_BENCH_EVENT_LOOP_H_

#include <event2/event.h>

#include <memory>

#include "absl/time/time.h"

namespace holdfast::bench {

// Events that are added to base() must be removed before the loop is destroyed. Used by one thread.
class EventLoop {
 public:
  EventLoop();
  EventLoop(const EventLoop&) = delete;

  event_base* base() const { return base_.get(); }
  // Runs one round: waits until something happens, but not beyond `until`, and runs the callbacks of everything that
  // has happened.
  void RunOnce(absl::Time until);

 private:
  struct Free {
    void operator()(event_base* base) const { event_base_free(base); }
    void operator()(event* timer) const { event_free(timer); }
  };

  std::unique_ptr<event_base, Free> base_;
  std::unique_ptr<event, Free> timer_;
  absl::Time timer_at_ = absl::InfinitePast();
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_EVENT_LOOP_H_
