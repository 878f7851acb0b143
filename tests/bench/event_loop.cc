#include "tests/bench/event_loop.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace holdfast::bench {
namespace {

event_base* NewBase() {
  event_config* const config = event_config_new();
  // Without this flag timers, and with them calls at a fixed rate, are late by milliseconds.
  event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
  // hiredis removes its events and adds them again at each reply; the changelist saves half of those system calls.
  event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  event_base* const base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

}  // namespace

EventLoop::EventLoop()
    : base_(NewBase()),
      timer_(evtimer_new(
          base_.get(), [](int, short, void*) {}, nullptr)) {}

void EventLoop::RunOnce(absl::Time until) {
  if (until != timer_at_ || evtimer_pending(timer_.get(), nullptr) == 0) {
    const timeval wait = absl::ToTimeval(std::max(absl::ZeroDuration(), until - absl::Now()));
    evtimer_add(timer_.get(), &wait);
    timer_at_ = until;
  }
  event_base_loop(base_.get(), EVLOOP_ONCE);
}

}  // namespace holdfast::bench
