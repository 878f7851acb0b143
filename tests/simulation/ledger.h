// An object that keeps two amounts whose sum is zero, and waits in the middle of its turns: for time to pass, with the
// input gate open before it has written and closed afterwards.

#ifndef HOLDFAST_TESTS_SIMULATION_LEDGER_H_
#define HOLDFAST_TESTS_SIMULATION_LEDGER_H_

#include "absl/status/status.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "holdfast/v1/counter_service.pb.h"

namespace holdfast::simulation {

class Ledger : public actors::Object {
 public:
  using Object::Object;
  static const actors::ObjectClass& Class();
  // The same class, broken: while a turn that has written waits, the input gate is open.
  static const actors::ObjectClass& InterleavingClass();

  // Takes the amount from "a" and adds it to "b". The response is what is left in "a".
  actors::Task<absl::Status> Move(const v1::IncrementRequest& request, v1::IncrementResponse* response);
  // Takes the amount from "a", and fails.
  actors::Task<absl::Status> Fail(const v1::IncrementRequest& request, v1::IncrementResponse* response);

 private:
  actors::Task<absl::StatusOr<int64_t>> Amount(std::string key);
  // Waits for some milliseconds.
  Waiting WaitABit();
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_LEDGER_H_
