#include "tests/simulation/linearizability.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace holdfast::simulation {
namespace {

// Few of the operations that may not have happened did happen, one behind the other. So the search is repeated with
// these bounds on how many follow each other in an order, until it finds one or meets no bound.
constexpr size_t kInARow[] = {1, 2, 3, 4, 6, std::numeric_limits<size_t>::max()};

// A depth-first search over orders. Each frame is an order that is one operation longer than the one below it.
class Search {
 public:
  // In the orders at most `in_a_row_max` operations without a known reply follow each other.
  Search(const Model& model, const std::string& state, const History& history, size_t states_max, size_t in_a_row_max)
      : model_(model),
        state_(state),
        history_(history),
        states_max_(states_max),
        in_a_row_max_(in_a_row_max),
        done_(history.size(), false) {
    // Known replies are tried before operations that may not have happened, and those that ended early before others.
    by_end_.resize(history.size());
    std::iota(by_end_.begin(), by_end_.end(), 0);
    std::stable_sort(by_end_.begin(), by_end_.end(), [&](size_t a, size_t b) {
      const bool known_a = history[a].reply.has_value();
      const bool known_b = history[b].reply.has_value();
      return known_a != known_b ? known_a : history[a].end < history[b].end;
    });
    left_ = static_cast<size_t>(
        std::count_if(history.begin(), history.end(), [](const Operation& operation) { return operation.reply; }));
  }

  Judgement Run() {
    Judgement judgement{Verdict::kUnexplained, {}};
    std::vector<Frame> frames = Begin();
    while (left_ > 0) {
      if (states_ > states_max_) {
        judgement.verdict = Verdict::kUndecided;
        break;
      }
      if (Extend(&frames)) {
        if (frames.size() - 1 > judgement.order.size()) judgement.order = OrderOf(frames);
        continue;
      }
      if (frames.size() == 1) break;
      Undo(frames.back().operation);
      frames.pop_back();
    }
    if (left_ == 0) {
      judgement.verdict = Verdict::kExplained;
      judgement.order = OrderOf(frames);
    }
    judgement.states = states_;
    return judgement;
  }
  // Returns the states to which the orders lead that explain everything; nothing if there are too many orders.
  std::optional<std::set<std::string>> FinalStates() {
    std::set<std::string> states;
    std::vector<Frame> frames = Begin();
    while (true) {
      if (states_ > states_max_) return std::nullopt;
      if (left_ == 0) states.insert(frames.back().state);
      if (Extend(&frames)) continue;
      if (frames.size() == 1) return states;
      Undo(frames.back().operation);
      frames.pop_back();
    }
  }
  // Returns whether an order ended where the bound on operations in a row was reached.
  bool bounded() const { return bounded_; }

 private:
  struct Frame {
    std::string state;
    Moment latest_begin;   // of the operations in the order
    Moment first_end;      // of the known replies that are not in the order
    size_t in_a_row = 0;   // operations without a known reply at its end
    size_t operation = 0;  // the last of the order
    size_t next = 0;       // the first of by_end_ that was not tried yet
  };

  std::vector<Frame> Begin() const { return {Frame{.state = state_, .latest_begin = 0, .first_end = FirstEnd()}}; }
  Moment FirstEnd() const {
    // The known replies come first in by_end_, in the order of their ends.
    for (size_t i : by_end_) {
      if (!history_[i].reply) break;
      if (!done_[i]) return history_[i].end;
    }
    return kNever;
  }

  // Adds a frame with the next operation that may follow. Returns false if there is none.
  bool Extend(std::vector<Frame>* frames) {
    while (frames->back().next < by_end_.size()) {
      Frame& last = frames->back();
      const size_t i = by_end_[last.next++];
      const Operation& operation = history_[i];
      const size_t in_a_row = operation.reply ? 0 : last.in_a_row + 1;
      if (in_a_row > in_a_row_max_) {
        // Those with a known reply came first.
        bounded_ = true;
        return false;
      }
      if (done_[i] || operation.begin > last.first_end || last.latest_begin > operation.end) continue;
      std::string state = last.state;
      const std::string reply = model_.Apply(operation.request, &state);
      if (operation.reply && reply != *operation.reply) continue;
      // An operation that may not have happened, and changes nothing, need not happen.
      if (!operation.reply && state == last.state) continue;
      done_[i] = true;
      if (operation.reply) --left_;
      const Moment latest_begin = std::max(last.latest_begin, operation.begin);
      if (!IsNew(state, latest_begin, in_a_row)) {
        Undo(i);
        continue;
      }
      frames->push_back(Frame{.state = std::move(state),
                              .latest_begin = latest_begin,
                              .first_end = FirstEnd(),
                              .in_a_row = in_a_row,
                              .operation = i});
      return true;
    }
    return false;
  }
  void Undo(size_t i) {
    done_[i] = false;
    if (history_[i].reply) ++left_;
  }

  // Returns whether no order before led to the same state with the same replies given, and with all the operations left
  // over that this one has left over, which may happen or not: that order would have failed where this one does.
  bool IsNew(const std::string& state, Moment latest_begin, size_t in_a_row) {
    std::string given((history_.size() + 7) / 8, '\0');
    std::string gone = given;
    for (size_t i = 0; i < history_.size(); ++i) {
      const char bit = static_cast<char>(1 << (i % 8));
      if (history_[i].reply) {
        if (done_[i]) given[i / 8] = static_cast<char>(given[i / 8] | bit);
      } else if (done_[i] || history_[i].end < latest_begin) {
        gone[i / 8] = static_cast<char>(gone[i / 8] | bit);
      }
    }
    std::vector<Seen>& before = seen_[given + state];
    const auto has_more = [&](const Seen& other) {
      return other.in_a_row <= in_a_row && std::equal(other.gone.begin(), other.gone.end(), gone.begin(),
                                                      [](char a, char b) { return (a & ~b) == 0; });
    };
    if (std::any_of(before.begin(), before.end(), has_more)) return false;
    before.push_back({std::move(gone), in_a_row});
    ++states_;
    return true;
  }
  static std::vector<size_t> OrderOf(const std::vector<Frame>& frames) {
    std::vector<size_t> order;
    for (size_t i = 1; i < frames.size(); ++i) order.push_back(frames[i].operation);
    return order;
  }

  const Model& model_;
  const std::string state_;
  const History& history_;
  const size_t states_max_;
  const size_t in_a_row_max_;
  bool bounded_ = false;
  std::vector<size_t> by_end_;
  std::vector<bool> done_;
  size_t left_ = 0;  // known replies that are not in the order
  struct Seen {
    std::string gone;  // the operations without a reply that can't follow any more
    size_t in_a_row;
  };
  absl::flat_hash_map<std::string, std::vector<Seen>> seen_;  // by given replies and state
  size_t states_ = 0;
};

// Returns the history as it was known at `moment`.
History Until(const History& history, Moment moment) {
  History begun;
  for (const Operation& operation : history) {
    if (operation.begin > moment) continue;
    begun.push_back(operation);
    if (operation.end <= moment) continue;
    begun.back().reply.reset();
    begun.back().end = kNever;
  }
  return begun;
}

Judgement JudgeFrom(const Model& model, const std::string& state, const History& history, size_t states_max) {
  Judgement judgement{Verdict::kUnexplained, {}};
  size_t states = 0;
  for (size_t in_a_row : kInARow) {
    Search search(model, state, history, states_max, in_a_row);
    judgement = search.Run();
    judgement.states = states += judgement.states;
    if (judgement.verdict == Verdict::kExplained || !search.bounded()) break;
  }
  return judgement;
}

bool IsUnexplained(const Model& model, const History& history) {
  return Judge(model, history).verdict == Verdict::kUnexplained;
}

// If all operations before some moment had ended then, and can only have left one state, begins with that.
void CutBeginning(const Model& model, Excerpt* excerpt) {
  History& history = excerpt->history;
  std::stable_sort(history.begin(), history.end(),
                   [](const Operation& a, const Operation& b) { return a.begin < b.begin; });
  size_t cut = 0;
  std::string state;
  Moment end = 0;
  for (size_t i = 0; i < history.size(); end = std::max(end, history[i++].end)) {
    if (i == 0 || end > history[i].begin) continue;
    const History before(history.begin(), history.begin() + static_cast<ptrdiff_t>(i));
    const auto states = Search(model, "", before, kStatesMax / 100, before.size()).FinalStates();
    if (!states || states->size() != 1) continue;
    cut = i;
    state = *states->begin();
  }
  history.erase(history.begin(), history.begin() + static_cast<ptrdiff_t>(cut));
  excerpt->state = state;
}

}  // namespace

std::string Operation::DebugString() const {
  return absl::StrCat("[", begin, ", ", end == kNever ? "" : absl::StrCat(end), "] ", request, " -> ",
                      reply.value_or("?"), note.empty() ? "" : absl::StrCat("   (", note, ")"));
}

Judgement Judge(const Model& model, const History& history, size_t states_max) {
  return JudgeFrom(model, "", history, states_max);
}

Excerpt Shorten(const Model& model, const History& history) {
  std::vector<Moment> ends;
  for (const Operation& operation : history) {
    if (operation.reply) ends.push_back(operation.end);
  }
  std::sort(ends.begin(), ends.end());
  // An order that explains a history explains its beginning, so the first reply that nothing explains is found by
  // halving.
  const auto first = std::partition_point(ends.begin(), ends.end(),
                                          [&](Moment moment) { return !IsUnexplained(model, Until(history, moment)); });
  History shortest = first == ends.end() ? history : Until(history, *first);
  // A read that is left out makes no other reply harder to explain, so what is left explains the whole no better.
  for (size_t i = 0; i < shortest.size();) {
    if (model.OnlyReads(shortest[i].request)) {
      History without = shortest;
      without.erase(without.begin() + static_cast<ptrdiff_t>(i));
      if (!shortest[i].reply || IsUnexplained(model, without)) {
        shortest = std::move(without);
        continue;
      }
    }
    ++i;
  }
  Excerpt excerpt{"", std::move(shortest)};
  CutBeginning(model, &excerpt);
  return excerpt;
}

std::string Explain(const Model& model, const Excerpt& excerpt) {
  const History& history = excerpt.history;
  std::string text = excerpt.state.empty() ? "" : absl::StrCat("  the state: ", excerpt.state, "\n");
  for (size_t i = 0; i < history.size(); ++i) absl::StrAppend(&text, "  ", i, ": ", history[i].DebugString(), "\n");
  absl::StrAppend(&text, "  the longest order:");
  for (size_t i : JudgeFrom(model, excerpt.state, history, kStatesMax / 100).order) absl::StrAppend(&text, " ", i);
  return text + "\n";
}

std::string Complaint(const Model& model, const History& history, const Judgement& judgement) {
  switch (judgement.verdict) {
    case Verdict::kExplained:
      return "";
    case Verdict::kUndecided:
      return absl::StrCat("the search for an order was given up after ", judgement.states, " states\n",
                          Explain(model, {"", history}));
    case Verdict::kUnexplained:
      break;
  }
  return absl::StrCat("no order explains these replies\n", Explain(model, Shorten(model, history)));
}

}  // namespace holdfast::simulation
