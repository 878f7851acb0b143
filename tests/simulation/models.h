// The sequential behaviour of the objects of a simulation, and the texts of their requests and replies.
//
//   counter    "add N" -> the value after; "get" -> the value; "set N" -> the value before; "unique" -> a number
//   limiter    "take KEY COST" -> "allowed REMAINING" or "denied REMAINING"; "peek KEY COST" does not count
//   plain      "put K V" -> "ok"; "put2 K V K V" -> "ok"; "get K" or "list" -> "K=V,..."; "delete K" -> the count;
//              "swap K OLD NEW" -> "ok", if the value is OLD; "sql N" -> the sum; "both K V N" -> the sum;
//              "ask" -> the sum; "wipe" -> "ok"
//   ledger     "move N" -> what is left in a; "fail N" -> an error; "look" -> "a=A,b=B"
//
// The reply of an error is the name of its reason.

#ifndef HOLDFAST_TESTS_SIMULATION_MODELS_H_
#define HOLDFAST_TESTS_SIMULATION_MODELS_H_

#include "tests/simulation/linearizability.h"

namespace holdfast::simulation {

inline constexpr int kLimit = 12;

const Model& CounterModel();
const Model& LimiterModel();
const Model& PlainModel();
const Model& LedgerModel();

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_MODELS_H_
