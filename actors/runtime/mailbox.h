// The requests of one object that wait for their turn, in the order in which they came, bounded in number and bytes.
// Work of the server itself (an alarm, a move) has places of its own and goes first: a full mailbox does not hold it
// up.

#ifndef HOLDFAST_ACTORS_RUNTIME_MAILBOX_H_
#define HOLDFAST_ACTORS_RUNTIME_MAILBOX_H_

#include <cstddef>

#include "actors/runtime/delivery.h"

namespace holdfast::actors {

struct MailboxLimits {
  size_t requests_max = 1024;
  size_t bytes_max = 16 << 20;
};

class Mailbox {
 public:
  explicit Mailbox(const MailboxLimits* limits) : limits_(limits) {}

  // False, and not taken, when full.
  bool Push(Delivery* request) {
    if (requests_.size() >= limits_->requests_max) return false;
    // One alone always fits: its size is bounded where it comes in.
    if (!requests_.empty() && bytes_ + request->bytes > limits_->bytes_max) return false;
    bytes_ += request->bytes;
    requests_.Push(request);
    return true;
  }
  // Of the server itself: at most one of each kind at a time.
  void PushReserved(Delivery* work) { reserved_.Push(work); }

  // Null when empty.
  Delivery* Pop() {
    if (Delivery* const work = reserved_.Pop()) return work;
    Delivery* const next = requests_.Pop();
    if (next != nullptr) bytes_ -= next->bytes;
    return next;
  }

  bool empty() const { return requests_.empty() && reserved_.empty(); }
  size_t depth() const { return requests_.size(); }

 private:
  const MailboxLimits* const limits_;
  DeliveryQueue reserved_;
  DeliveryQueue requests_;
  size_t bytes_ = 0;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_MAILBOX_H_
