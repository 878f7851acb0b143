// The deliveries of one object that have not begun: its mailbox, and beside the mailbox those requests that repeat the
// request_id of a turn which has not ended. A repeated request waits for that turn, whose reply it is then given; other
// requests overtake it. Both places have the bounds of the mailbox.
//
// Threading: the executor. Ownership: whoever made a delivery keeps it.

#ifndef HOLDFAST_ACTORS_RUNTIME_REQUEST_QUEUE_H_
#define HOLDFAST_ACTORS_RUNTIME_REQUEST_QUEUE_H_

#include <cstddef>
#include <list>
#include <vector>

#include "absl/functional/function_ref.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/mailbox.h"

namespace holdfast::actors {

class RequestQueue {
 public:
  // `limits` outlives this.
  explicit RequestQueue(const MailboxLimits* limits) : limits_(limits), mailbox_(limits) {}

  // Returns false, and does not take the request, if the mailbox is full.
  bool Push(Delivery* request) { return mailbox_.Push(request); }
  // Takes work of the server itself; at most one of each kind at a time.
  void PushReserved(Delivery* work) { mailbox_.PushReserved(work); }

  // Returns the next delivery that may begin while these turns have not ended; null if there is none. Calls `refuse`
  // with each request that repeats one of them and finds no room to wait.
  Delivery* Next(const std::vector<Delivery*>& turns, absl::FunctionRef<void(Delivery*)> refuse);

  bool empty() const { return mailbox_.empty() && repeated_.empty(); }
  // Requests in the mailbox.
  size_t depth() const { return mailbox_.depth(); }

 private:
  const MailboxLimits* const limits_;
  Mailbox mailbox_;
  std::list<Delivery*> repeated_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_REQUEST_QUEUE_H_
