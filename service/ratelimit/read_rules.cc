#include "service/ratelimit/read_rules.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "actors/objects/rate_limit.h"
#include "actors/wire/utf8.h"
#include "service/ratelimit/limit_names.h"

namespace holdfast::service {
namespace {

using Limit = envoy::service::ratelimit::v3::RateLimitResponse::RateLimit;

// A text of the file is cut at so many bytes in a message.
constexpr size_t kQuotedBytesMax = 64;

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", text.substr(0, kQuotedBytesMax), text.size() > kQuotedBytesMax ? "...\"" : "\"");
}

bool IsCalendarUnit(LimitUnit unit) {
  return unit == Limit::MINUTE || unit == Limit::HOUR || unit == Limit::DAY || unit == Limit::MONTH;
}

// Reads one document of a file.
class DocumentReader {
 public:
  DocumentReader(v1::RateLimitAlgorithm by_default, size_t* rules_read, std::vector<std::string>* problems)
      : by_default_(by_default), rules_read_(rules_read), problems_(problems) {}

  std::unique_ptr<Domain> Read(const YAML::Node& document) {
    auto domain = std::make_unique<Domain>();
    ReadKeys(document, "",
             {{"domain",
               [&](const YAML::Node& node, const std::string& path) {
                 if (ReadText(node, path, &domain->name) && domain->name.size() > kDomainBytesMax) {
                   Add(node, path, absl::StrCat("has over ", kDomainBytesMax, " bytes"));
                 }
               }},
              {"all_or_nothing",
               [&](const YAML::Node& node, const std::string& path) { ReadBool(node, path, &domain->all_or_nothing); }},
              {"descriptors",
               [&](const YAML::Node& node, const std::string& path) { ReadLevel(node, path, 1, &domain->rules); }}});
    if (document.IsMap() && domain->name.empty()) Add(document, "domain", "is missing or empty");
    return domain;
  }

 private:
  using ReadValue = std::function<void(const YAML::Node& node, const std::string& path)>;
  using Keys = absl::flat_hash_map<std::string, ReadValue>;

  void Add(const YAML::Node& node, absl::string_view path, absl::string_view problem) {
    const YAML::Mark mark = node.Mark();
    const std::string line = mark.is_null() ? "" : absl::StrCat("line ", mark.line + 1, ": ");
    problems_->push_back(absl::StrCat(line, path.empty() ? "the document" : path, ": ", problem));
  }
  bool TooManyProblems() const { return problems_->size() >= kProblemsMax; }

  // Reads each value of a map by its key.
  void ReadKeys(const YAML::Node& node, const std::string& path, const Keys& keys) {
    if (!node.IsMap()) return Add(node, path, "is no map of keys and values");
    absl::flat_hash_set<std::string> seen;
    for (const auto& pair : node) {
      if (TooManyProblems()) return;
      const std::string key = pair.first.IsScalar() ? pair.first.Scalar() : "";
      const std::string inner = path.empty() ? key : absl::StrCat(path, ".", key);
      const auto known = keys.find(key);
      if (known == keys.end()) {
        std::vector<std::string> names;
        for (const auto& [name, read] : keys) names.push_back(name);
        std::sort(names.begin(), names.end());
        Add(pair.first, path.empty() ? "the document" : path,
            absl::StrCat("the key ", Quoted(key), " is not known; there are ", absl::StrJoin(names, ", ")));
      } else if (!seen.insert(key).second) {
        Add(pair.first, inner, "comes twice");
      } else {
        known->second(pair.second, inner);
      }
    }
  }

  bool ReadText(const YAML::Node& node, const std::string& path, std::string* text) {
    if (node.IsNull()) return true;
    if (!node.IsScalar()) {
      Add(node, path, "is no text");
      return false;
    }
    *text = node.Scalar();
    if (text->size() <= kRuleTextBytesMax) return true;
    Add(node, path, absl::StrCat("has over ", kRuleTextBytesMax, " bytes"));
    return false;
  }

  void ReadBool(const YAML::Node& node, const std::string& path, bool* value) {
    const std::string text = node.IsScalar() ? absl::AsciiStrToLower(node.Scalar()) : "";
    if (text != "true" && text != "false") return Add(node, path, "is neither true nor false");
    *value = text == "true";
  }

  void ReadLevel(const YAML::Node& node, const std::string& path, size_t depth, RuleLevel* level) {
    if (node.IsNull()) return;
    if (!node.IsSequence()) return Add(node, path, "is no list");
    if (depth > kRuleDepthMax) return Add(node, path, absl::StrCat("is over ", kRuleDepthMax, " levels deep"));
    size_t index = 0;
    for (const YAML::Node& one : node) {
      if (TooManyProblems()) return;
      const std::string inner = absl::StrCat(path, "[", index++, "]");
      if (++*rules_read_ > kRulesMax) return Add(one, inner, absl::StrCat("there are over ", kRulesMax, " rules"));
      ReadRule(one, inner, depth, level);
    }
  }

  void ReadRule(const YAML::Node& node, const std::string& path, size_t depth, RuleLevel* level) {
    const size_t problems = problems_->size();
    auto rule = std::make_unique<Rule>();
    bool ignored = false;
    const auto text = [this](std::string* to) {
      return [this, to](const YAML::Node& value, const std::string& at) { ReadText(value, at, to); };
    };
    const auto flag = [this](bool* to) {
      return [this, to](const YAML::Node& value, const std::string& at) { ReadBool(value, at, to); };
    };
    ReadKeys(node, path,
             {{"key", text(&rule->key)},
              {"value", text(&rule->value)},
              {"shadow_mode", flag(&rule->shadow)},
              {"share_threshold", flag(&rule->shares_threshold)},
              // These say which metrics envoyproxy/ratelimit has; the answers are the same.
              {"detailed_metric", flag(&ignored)},
              {"value_to_metric", flag(&ignored)},
              {"rate_limit",
               [&](const YAML::Node& value, const std::string& at) {
                 if (value.IsNull()) return;
                 rule->has_limit = true;
                 ReadLimit(value, at, &rule->limit);
               }},
              {"descriptors", [&](const YAML::Node& value, const std::string& at) {
                 ReadLevel(value, at, depth + 1, &rule->children);
               }}});
    if (problems_->size() > problems) return;
    if (rule->key.empty()) return Add(node, absl::StrCat(path, ".key"), "is missing or empty");
    if (rule->shares_threshold && !rule->is_wildcard()) {
      return Add(node, absl::StrCat(path, ".share_threshold"), "is for a value that ends in *");
    }
    switch (level->Add(std::move(rule))) {
      case RuleLevel::Added::kOk:
        return;
      case RuleLevel::Added::kTwice:
        return Add(node, path, "another rule of this list has the same key and value");
      case RuleLevel::Added::kTooManyWildcards:
        return Add(node, path,
                   absl::StrCat("over ", RuleLevel::kWildcardsMax, " rules of this list have this key and end in *"));
    }
  }

  void ReadLimit(const YAML::Node& node, const std::string& path, RuleLimit* limit) {
    bool has_requests = false;
    ReadKeys(
        node, path,
        {{"unit",
          [&](const YAML::Node& value, const std::string& at) {
            const std::string name = value.IsScalar() ? absl::AsciiStrToUpper(value.Scalar()) : "";
            if (Limit::Unit_Parse(name, &limit->unit) && limit->unit != Limit::UNKNOWN) return;
            Add(value, at, absl::StrCat("is none of second, minute, hour, day, week, month, year"));
          }},
         {"requests_per_unit",
          [&](const YAML::Node& value, const std::string& at) {
            has_requests = true;
            if (value.IsScalar() && absl::SimpleAtoi(value.Scalar(), &limit->requests_per_unit)) return;
            Add(value, at, absl::StrCat("is no number from 0 to ", UINT32_MAX));
          }},
         {"unlimited", [&](const YAML::Node& value, const std::string& at) { ReadBool(value, at, &limit->unlimited); }},
         {"name", [&](const YAML::Node& value, const std::string& at) { ReadText(value, at, &limit->name); }},
         {"replaces",
          [&](const YAML::Node& value, const std::string& at) { ReadReplaces(value, at, &limit->replaces); }},
         {"algorithm", [&](const YAML::Node& value, const std::string& at) {
            const std::string name = value.IsScalar() ? absl::AsciiStrToLower(value.Scalar()) : "";
            const absl::flat_hash_map<std::string, v1::RateLimitAlgorithm> known = {
                {"sliding_window", v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG},
                {"gcra", v1::RATE_LIMIT_ALGORITHM_GCRA},
                {"fixed_window", v1::RATE_LIMIT_ALGORITHM_FIXED_WINDOW},
                {"calendar", v1::RATE_LIMIT_ALGORITHM_CALENDAR}};
            const auto found = known.find(name);
            if (found == known.end()) {
              return Add(value, at, "is none of sliding_window, gcra, fixed_window, calendar");
            }
            limit->algorithm = found->second;
          }}});
    if (!node.IsMap()) return;
    if (limit->unlimited) {
      if (node["unit"] || has_requests) Add(node, path, "an unlimited one has no unit and no requests_per_unit");
      return;
    }
    if (!node["unit"]) Add(node, absl::StrCat(path, ".unit"), "is missing");
    if (!has_requests) Add(node, absl::StrCat(path, ".requests_per_unit"), "is missing");
    const v1::RateLimitAlgorithm algorithm =
        limit->algorithm == v1::RATE_LIMIT_ALGORITHM_UNSPECIFIED ? by_default_ : limit->algorithm;
    const std::string why = WhyNotCounted(algorithm, limit->requests_per_unit, limit->unit);
    if (!why.empty() && limit->unit != Limit::UNKNOWN) Add(node, path, why);
    if (!limit->name.empty() && absl::c_linear_search(limit->replaces, limit->name)) {
      Add(node, absl::StrCat(path, ".replaces"), "names this limit itself, which would then never hold");
    }
  }

  void ReadReplaces(const YAML::Node& node, const std::string& path, std::vector<std::string>* names) {
    if (!node.IsSequence()) return Add(node, path, "is no list");
    size_t index = 0;
    for (const YAML::Node& one : node) {
      if (TooManyProblems()) return;
      const std::string inner = absl::StrCat(path, "[", index++, "]");
      if (index > kReplacesMax) return Add(one, inner, absl::StrCat("there are over ", kReplacesMax, " names"));
      std::string name;
      ReadKeys(one, inner,
               {{"name", [&](const YAML::Node& value, const std::string& at) { ReadText(value, at, &name); }}});
      if (one.IsMap() && name.empty()) Add(one, absl::StrCat(inner, ".name"), "is missing or empty");
      names->push_back(std::move(name));
    }
  }

  const v1::RateLimitAlgorithm by_default_;
  size_t* const rules_read_;
  std::vector<std::string>* const problems_;
};

// Takes the events of a parser and does nothing with them.
class NoEvents final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Returns whether the text has at most kDomainsMax documents. yaml-cpp finds empty documents without end in some texts
// that are no YAML, and LoadAll would keep them all.
bool HasFewDocuments(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  NoEvents events;
  for (size_t documents = 0; parser.HandleNextDocument(events); ++documents) {
    if (documents == kDomainsMax) return false;
  }
  return true;
}

}  // namespace

std::string WhyNotCounted(v1::RateLimitAlgorithm algorithm, uint32_t requests_per_unit, LimitUnit unit) {
  if (algorithm == v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG && requests_per_unit > actors::kLogLimitMax) {
    return absl::StrCat("sliding_window counts up to ", actors::kLogLimitMax,
                        " requests_per_unit; gcra, fixed_window and calendar have no such bound");
  }
  if (algorithm == v1::RATE_LIMIT_ALGORITHM_CALENDAR && !IsCalendarUnit(unit)) {
    return "calendar counts in a minute, hour, day or month";
  }
  return "";
}

std::vector<std::string> RuleReader::Read(absl::string_view text) {
  std::vector<std::string> problems;
  if (text.size() > kRulesFileBytesMax) return {absl::StrCat("has over ", kRulesFileBytesMax, " bytes")};
  if (actors::ValidUtf8(text) != text) return {"is no UTF-8"};
  std::vector<YAML::Node> documents;
  // yaml-cpp throws what it can't parse.
  try {
    const std::string copy(text);
    if (!HasFewDocuments(copy)) return {absl::StrCat("has over ", kDomainsMax, " documents")};
    documents = YAML::LoadAll(copy);
  } catch (const YAML::Exception& error) {
    const std::string line = error.mark.is_null() ? "" : absl::StrCat("line ", error.mark.line + 1, ": ");
    return {absl::StrCat(line, "is no YAML: ", error.msg)};
  }
  if (documents.empty()) return {"has no document"};
  for (const YAML::Node& document : documents) {
    if (problems.size() >= kProblemsMax) break;
    std::unique_ptr<Domain> domain = DocumentReader(by_default_, &rules_read_, &problems).Read(document);
    if (!problems.empty()) continue;
    std::string name = domain->name;
    const std::string line = absl::StrCat("line ", document.Mark().line + 1, ": ");
    if (rules_.domains() == kDomainsMax) {
      problems.push_back(absl::StrCat(line, "domain: there are over ", kDomainsMax));
    } else if (!rules_.Add(std::move(domain))) {
      problems.push_back(absl::StrCat(line, "domain: ", Quoted(name), " comes twice"));
    }
  }
  return problems;
}

}  // namespace holdfast::service
