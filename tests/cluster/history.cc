#include "tests/cluster/history.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::testing {
namespace {

using Kind = SeenCall::Kind;

// The calls on one counter, with the value after each; unique numbers count from 1 here.
class Counter {
 public:
  explicit Counter(std::string name) : name_(std::move(name)) {}

  void Add(const SeenCall& call) {
    calls_.push_back(call);
    if (call.kind == Kind::kUniqueNumber) ++calls_.back().value;
  }

  void Check(std::vector<Finding>* findings) {
    CheckOwnValues(findings);
    CheckOrder(findings);
    CheckBounds(findings);
  }

 private:
  static bool Changes(const SeenCall& call) { return call.kind != Kind::kRead; }

  // Each change has a value of its own.
  void CheckOwnValues(std::vector<Finding>* findings) {
    for (const SeenCall& call : calls_) {
      if (!Changes(call) || !call.answered_us) continue;
      const auto [it, added] = given_.emplace(call.value, call.sent_us);
      if (!added) {
        findings->push_back({Finding::Kind::kDoubled, absl::StrCat(name_, " gave ", call.value, " twice")});
      }
    }
  }

  // A call comes after all that were answered before it was sent.
  void CheckOrder(std::vector<Finding>* findings) {
    std::vector<const SeenCall*> by_sent, by_answered;
    for (const SeenCall& call : calls_) {
      if (!call.answered_us) continue;
      by_sent.push_back(&call);
      by_answered.push_back(&call);
    }
    std::sort(by_sent.begin(), by_sent.end(), [](auto* a, auto* b) { return a->sent_us < b->sent_us; });
    std::sort(by_answered.begin(), by_answered.end(), [](auto* a, auto* b) { return a->answered_us < b->answered_us; });
    int64_t seen = 0;
    auto answered = by_answered.begin();
    for (const SeenCall* call : by_sent) {
      for (; answered != by_answered.end() && *(*answered)->answered_us < call->sent_us; ++answered) {
        seen = std::max(seen, (*answered)->value);
      }
      if (call->value < seen) {
        findings->push_back({Finding::Kind::kLost, absl::StrCat(name_, Changes(*call) ? " gave " : " told ",
                                                                call->value, " after ", seen, " had been seen")});
      } else if (Changes(*call) && call->value == seen && given_.at(call->value) == call->sent_us) {
        // A read has shown it, or another change whose finding is there already.
        findings->push_back(
            {Finding::Kind::kDoubled, absl::StrCat(name_, " gave ", call->value, ", which had been seen before")});
      }
    }
  }

  // Nobody sees more than was sent, or a value before the call that made it.
  void CheckBounds(std::vector<Finding>* findings) {
    std::vector<int64_t> sent;
    for (const SeenCall& call : calls_) {
      if (Changes(call)) sent.push_back(call.sent_us);
    }
    std::sort(sent.begin(), sent.end());
    for (const SeenCall& call : calls_) {
      if (!call.answered_us) continue;
      const int64_t changes = std::upper_bound(sent.begin(), sent.end(), *call.answered_us) - sent.begin();
      if (call.value > changes) {
        findings->push_back({Finding::Kind::kDoubled,
                             absl::StrCat(name_, " is at ", call.value, " after ", changes, " changes at most")});
      }
      const auto made = given_.find(call.value);
      if (made != given_.end() && made->second > *call.answered_us) {
        findings->push_back({Finding::Kind::kOther, absl::StrCat(name_, " told ", call.value, " before it was made")});
      }
    }
  }

  const std::string name_;
  std::vector<SeenCall> calls_;
  std::map<int64_t, int64_t> given_;  // when the change that gave a value was sent
};

// A span that holds both ends of so many calls holds the moments at which they were allowed.
void CheckLimit(const std::string& name, std::vector<const SeenCall*> allowed, const Limit& limit,
                std::vector<Finding>* findings) {
  std::sort(allowed.begin(), allowed.end(), [](auto* a, auto* b) { return a->sent_us < b->sent_us; });
  for (size_t first = 0; first < allowed.size(); ++first) {
    const int64_t end_us = allowed[first]->sent_us + limit.window_us;
    int64_t inside = 0;
    for (size_t i = first; i < allowed.size() && allowed[i]->sent_us < end_us; ++i) {
      if (*allowed[i]->answered_us < end_us) ++inside;
    }
    if (inside > limit.checks) {
      findings->push_back({Finding::Kind::kDoubled, absl::StrCat(name, " allowed ", inside, " checks within ",
                                                                 limit.window_us, " us; the limit is ", limit.checks)});
      return;
    }
  }
}

}  // namespace

std::vector<Finding> FindingsOf(const std::vector<SeenCall>& calls, const Limit& limit) {
  std::map<std::string, Counter> counters;
  std::map<std::string, std::vector<const SeenCall*>> limits;
  for (const SeenCall& call : calls) {
    if (call.kind == Kind::kAllowed) {
      if (call.answered_us) limits[absl::StrCat("limit ", call.object)].push_back(&call);
      continue;
    }
    const std::string name =
        absl::StrCat(call.kind == Kind::kUniqueNumber ? "unique numbers " : "counter ", call.object);
    counters.try_emplace(name, name).first->second.Add(call);
  }
  std::vector<Finding> findings;
  for (auto& [name, counter] : counters) counter.Check(&findings);
  for (auto& [name, allowed] : limits) CheckLimit(name, std::move(allowed), limit, &findings);
  return findings;
}

void History::Add(SeenCall call) {
  std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
}

std::vector<SeenCall> History::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

int64_t History::answered() const {
  std::lock_guard lock(mutex_);
  return std::count_if(calls_.begin(), calls_.end(), [](const SeenCall& call) { return call.answered_us.has_value(); });
}

int64_t History::LongestUs(int64_t since_us) const {
  std::lock_guard lock(mutex_);
  int64_t longest_us = 0;
  for (const SeenCall& call : calls_) {
    if (call.answered_us && *call.answered_us >= since_us)
      longest_us = std::max(longest_us, *call.answered_us - call.sent_us);
  }
  return longest_us;
}

std::optional<int64_t> History::FirstChangeUs(int64_t since_us) const {
  std::lock_guard lock(mutex_);
  std::optional<int64_t> first_us;
  for (const SeenCall& call : calls_) {
    if (call.kind != Kind::kIncrement && call.kind != Kind::kUniqueNumber) continue;
    if (!call.answered_us || *call.answered_us < since_us) continue;
    first_us = std::min(first_us.value_or(*call.answered_us), *call.answered_us);
  }
  return first_us;
}

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace holdfast::testing
