// Turns the first Ctrl-C (SIGINT), or SIGTERM, into a flag, for a command that has something to say at its end.

#ifndef HOLDFAST_CLIENT_INTERRUPT_H_
#define HOLDFAST_CLIENT_INTERRUPT_H_

#include <signal.h>

#include <atomic>

namespace holdfast::client {

// While it exists, the first of these signals sets the flag, and a second one ends the process, as without this. At
// most one exists at a time; it is made and destroyed on one thread.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  const std::atomic<bool>& flag() const;

 private:
  struct sigaction before_int_ = {};
  struct sigaction before_term_ = {};
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_INTERRUPT_H_
