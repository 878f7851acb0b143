// Decides whether some order explains every reply of one object: the search of Wing and Gong, with the states that it
// has seen remembered (Lowe), as porcupine does it.
//
// An order explains a history if the model, applied to the operations one after the other, gives each known reply, and
// no operation comes after one that began when it had already ended. An operation without a known reply happens once,
// at any moment from its beginning to its end, or never.
//
// Bounds: a history whose search meets more than `states_max` states is undecided, which counts as an error.

#ifndef HOLDFAST_TESTS_SIMULATION_LINEARIZABILITY_H_
#define HOLDFAST_TESTS_SIMULATION_LINEARIZABILITY_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace holdfast::simulation {

// A moment of a history. Of two events, the later one has the greater moment.
using Moment = int64_t;
inline constexpr Moment kNever = std::numeric_limits<Moment>::max();

struct Operation {
  std::string request;
  // Absent: nobody knows whether the operation has happened.
  std::optional<std::string> reply;
  Moment begin = 0;
  // With a reply: when it came. Without: from when on the operation can't happen any more.
  Moment end = kNever;
  // For people: who asked, and how.
  std::string note;

  std::string DebugString() const;
};

using History = std::vector<Operation>;

// The sequential behaviour of an object.
class Model {
 public:
  virtual ~Model() = default;
  // Applies a request to a state, and returns the reply. The state of a new object is "". Equal states have equal
  // texts.
  virtual std::string Apply(absl::string_view request, std::string* state) const = 0;
  // Returns whether the request changes no state, whatever the state is.
  virtual bool OnlyReads(absl::string_view request) const = 0;
};

enum class Verdict { kExplained, kUnexplained, kUndecided };

struct Judgement {
  Verdict verdict;
  // The longest order that the search found: indexes of the history. It explains everything if the verdict is
  // kExplained.
  std::vector<size_t> order;
  size_t states = 0;
};

inline constexpr size_t kStatesMax = 1'000'000;

Judgement Judge(const Model& model, const History& history, size_t states_max = kStatesMax);

// A part of a history: what came before has led to the state, whatever the order was.
struct Excerpt {
  std::string state;
  History history;
};

// Returns the shortest part that can't be explained either: from the last moment at which only one state was possible
// to the first reply that no order explains, without the reads that are not needed for that. `history` must be
// unexplained.
Excerpt Shorten(const Model& model, const History& history);

// Returns a line for each operation, and the longest order that the search finds.
std::string Explain(const Model& model, const Excerpt& excerpt);
// Returns a sentence for people about a history that was judged so; empty if it is explained.
std::string Complaint(const Model& model, const History& history, const Judgement& judgement);

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_LINEARIZABILITY_H_
