#include "tests/simulation/models.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "storage/base/check.h"

namespace holdfast::simulation {
namespace {

using Words = std::vector<absl::string_view>;
using Texts = std::map<std::string, std::string>;

constexpr absl::string_view kEtagMismatch = "ETAG_MISMATCH";
constexpr absl::string_view kOverflow = "COUNTER_OVERFLOW";
constexpr absl::string_view kFailed = "PRECONDITION_FAILED";

int64_t NumberOf(absl::string_view text) {
  int64_t number = 0;
  HOLDFAST_CHECK(text.empty() || absl::SimpleAtoi(text, &number), text);
  return number;
}

// States are texts "K=V,K=V".
Texts Parse(absl::string_view state) {
  Texts texts;
  for (absl::string_view entry : absl::StrSplit(state, ',', absl::SkipEmpty())) {
    texts.insert(std::pair<std::string, std::string>(absl::StrSplit(entry, absl::MaxSplits('=', 1))));
  }
  return texts;
}
std::string Format(const Texts& texts) { return absl::StrJoin(texts, ",", absl::PairFormatter("=")); }

// A model that has its state as texts by key. A text that is empty is not there.
class TextsModel : public Model {
 public:
  std::string Apply(absl::string_view request, std::string* state) const final {
    const Words words = absl::StrSplit(request, ' ');
    Texts texts = Parse(*state);
    std::string reply = Take(words, &texts);
    if (!Reads(words)) *state = Format(texts);
    return reply;
  }
  bool OnlyReads(absl::string_view request) const final { return Reads(absl::StrSplit(request, ' ')); }

 protected:
  virtual std::string Take(const Words& words, Texts* texts) const = 0;
  virtual bool Reads(const Words& words) const = 0;

  static int64_t Number(const Texts& texts, const std::string& key) {
    const auto found = texts.find(key);
    return found == texts.end() ? 0 : NumberOf(found->second);
  }
};

class TheCounterModel final : public TextsModel {
  bool Reads(const Words& words) const override { return words[0] == "get"; }
  std::string Take(const Words& words, Texts* texts) const override {
    const int64_t value = Number(*texts, "value");
    if (words[0] == "get") return absl::StrCat(value);
    if (words[0] == "unique") {
      const int64_t unique = Number(*texts, "unique");
      (*texts)["unique"] = absl::StrCat(unique + 1);
      return absl::StrCat(unique);
    }
    int64_t next = NumberOf(words[1]);
    const bool adds = words[0] == "add";
    if (adds && __builtin_add_overflow(value, next, &next)) return std::string(kOverflow);
    (*texts)["value"] = absl::StrCat(next);
    return absl::StrCat(adds ? next : value);
  }
};

class TheLimiterModel final : public TextsModel {
  bool Reads(const Words& words) const override { return words[0] == "peek"; }
  std::string Take(const Words& words, Texts* texts) const override {
    const std::string key(words[1]);
    const int64_t used = Number(*texts, key);
    const int64_t cost = NumberOf(words[2]);
    if (used + cost > kLimit) return absl::StrCat("denied ", kLimit - used);
    if (words[0] == "take") (*texts)[key] = absl::StrCat(used + cost);
    return absl::StrCat("allowed ", kLimit - used - cost);
  }
};

class ThePlainModel final : public TextsModel {
  // The sum of the SQL table is beside the entries, under a key that they can't have.
  static constexpr char kSum[] = "~sum";

  bool Reads(const Words& words) const override { return words[0] == "get" || words[0] == "list" || words[0] == "ask"; }
  static std::string Add(absl::string_view amount, Texts* texts) {
    return (*texts)[kSum] = absl::StrCat(Number(*texts, kSum) + NumberOf(amount));
  }
  static std::string Swap(const Words& words, Texts* texts) {
    const auto found = texts->find(std::string(words[1]));
    if (found == texts->end() || found->second != words[2]) return std::string(kEtagMismatch);
    found->second = std::string(words[3]);
    return "ok";
  }
  std::string Take(const Words& words, Texts* texts) const override {
    const absl::string_view verb = words[0];
    if (verb == "sql") return Add(words[1], texts);
    if (verb == "ask") return absl::StrCat(Number(*texts, kSum));
    if (verb == "swap") return Swap(words, texts);
    if (verb == "list") {
      texts->erase(kSum);
      return Format(*texts);
    }
    if (verb == "get") {
      const auto found = texts->find(std::string(words[1]));
      return found == texts->end() ? "" : absl::StrCat(found->first, "=", found->second);
    }
    if (verb == "delete") return absl::StrCat(texts->erase(std::string(words[1])));
    if (verb == "wipe") {
      texts->clear();
      return "ok";
    }
    (*texts)[std::string(words[1])] = std::string(words[2]);
    if (verb == "both") return Add(words[3], texts);
    if (verb == "put2") (*texts)[std::string(words[3])] = std::string(words[4]);
    return "ok";
  }
};

class TheLedgerModel final : public TextsModel {
  bool Reads(const Words& words) const override { return words[0] != "move"; }
  std::string Take(const Words& words, Texts* texts) const override {
    if (words[0] == "look") return Format(*texts);
    if (words[0] == "fail") return std::string(kFailed);
    const int64_t amount = NumberOf(words[1]);
    const int64_t left = Number(*texts, "a") - amount;
    (*texts)["b"] = absl::StrCat(Number(*texts, "b") + amount);
    (*texts)["a"] = absl::StrCat(left);
    return absl::StrCat(left);
  }
};

template <typename T>
const Model& The() {
  static const auto* const model = new T;
  return *model;
}

}  // namespace

const Model& CounterModel() { return The<TheCounterModel>(); }
const Model& LimiterModel() { return The<TheLimiterModel>(); }
const Model& PlainModel() { return The<ThePlainModel>(); }
const Model& LedgerModel() { return The<TheLedgerModel>(); }

}  // namespace holdfast::simulation
