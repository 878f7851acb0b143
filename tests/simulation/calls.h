// The requests of a simulation: from a text to the message and the handler that the server would run, and from the
// response to a text. models.h has the texts.

#ifndef HOLDFAST_TESTS_SIMULATION_CALLS_H_
#define HOLDFAST_TESTS_SIMULATION_CALLS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "storage/store/object_id.h"
#include "tests/simulation/linearizability.h"

namespace holdfast::simulation {

// One attempt of a request. It tells its outcome once, and must be destroyed before the node.
class Call : public actors::Delivery {
 public:
  using Outcome = std::function<void(Call* call, const absl::Status& status)>;

  // Valid after an outcome that is OK.
  virtual std::string ReplyText() const = 0;
  void Done(const absl::Status& status) override { outcome(this, status); }

  Outcome outcome;
  // Called, if set, at the end of the handler that succeeds, long before the outcome.
  std::function<void(Call* call)> ran;
  // For the client: the number of the request, when it gives up, and whether it has.
  size_t request = 0;
  absl::Time give_up = absl::InfiniteFuture();
  bool given_up = false;
  bool answered = false;
  Moment begin = 0;
};

// A kind of object: its class, its model and its requests.
struct Kind {
  const actors::ObjectClass* object_class;
  const Model* model;
  std::unique_ptr<Call> (*make_call)(absl::string_view request, const std::string& request_id);
};

Kind CounterKind();
Kind LimiterKind();
Kind PlainKind();
// With `interleaving`, the broken class.
Kind LedgerKind(bool interleaving);

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CALLS_H_
