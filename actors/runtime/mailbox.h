// The requests of one object that wait for their turn, first in, first out, bounded in number and bytes. Work of the
// server itself (an alarm, a move) has reserved places and goes first, so a full mailbox does not delay it.

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

  // Takes the request, or returns false when the mailbox is full.
  bool Push(Delivery* request) {
    if (requests_.size() >= limits_->requests_max) return false;
    // A single request always fits: the server bounds its size when it receives it.
    if (!requests_.empty() && bytes_ + request->bytes > limits_->bytes_max) return false;
    bytes_ += request->bytes;
    requests_.Push(request);
    return true;
  }
  // Takes work of the server itself, at most one of each kind at a time.
  void PushReserved(Delivery* work) { reserved_.Push(work); }

  // Returns null when the mailbox is empty.
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
