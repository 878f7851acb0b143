#include "storage/sql/program.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "storage/sql/authorizer.h"
#include "storage/sql/short_statements.h"

namespace holdfast::storage::sql {
namespace {

bool CallsAFunction(absl::string_view opcode) {
  static const auto* const opcodes = new absl::flat_hash_set<absl::string_view>{
      "AggFinal", "AggInverse", "AggStep", "AggStep1", "AggValue", "Function", "PureFunc"};
  return opcodes->contains(opcode);
}

// Returns "like" for "like(2)".
absl::string_view NameOf(absl::string_view p4) { return p4.substr(0, p4.rfind('(')); }

// Nanoseconds that a function takes for each byte of a value, rounded up from measurements with 4 MiB of the worst
// arguments that were found.
constexpr int64_t kFunctionNsPerByte = 12;
constexpr int64_t kNumberNsPerByte = 3;
constexpr int64_t kJsonNsPerByte = 25;
// JSON functions with up to 31 paths look each of them up, and move the bytes behind each change.
constexpr int64_t kJsonPathsNsPerByte = 100;
// Nanoseconds for each pair of a byte of the text and a byte of the pattern.
constexpr double kLikeNsPerBytes = 2.5;

int64_t OpcodeNsPerByte(absl::string_view opcode, int64_t p5) {
  // Opcodes that read a text as a number, or write a number as text.
  static const auto* const numbers = new absl::flat_hash_set<absl::string_view>{
      "Add",       "BitAnd",   "BitNot", "BitOr",     "Cast",      "Concat",     "Divide",   "If",  "IfNot", "IsTrue",
      "MustBeInt", "Multiply", "Not",    "Remainder", "ShiftLeft", "ShiftRight", "Subtract", "And", "Or"};
  static const auto* const comparisons = new absl::flat_hash_set<absl::string_view>{"Eq", "Ge", "Gt", "Le", "Lt", "Ne"};
  // The bits of a comparison's p5 that say as which type both sides are compared.
  constexpr int64_t kAffinityMask = 0x47;
  constexpr int64_t kNumericAffinity = 0x43;
  if (numbers->contains(opcode)) return kNumberNsPerByte;
  return comparisons->contains(opcode) && (p5 & kAffinityMask) >= kNumericAffinity ? kNumberNsPerByte : 0;
}

// Returns whether ANALYZE calls the function. SQL can't call these functions by name.
bool IsOfAnalyze(absl::string_view function) {
  return function == "stat_init" || function == "stat_push" || function == "stat_get";
}

}  // namespace

Program::Program(int like_pattern_bytes_max)
    // In the worst case LIKE compares each byte of a text with the whole pattern.
    : like_ns_per_byte_(static_cast<int64_t>(std::max(like_pattern_bytes_max, 50) * kLikeNsPerBytes)) {}

int64_t Program::FunctionNsPerByte(absl::string_view name) const {
  static const auto* const others = new absl::flat_hash_map<absl::string_view, int64_t>{
      {"abs", 40},
      {"strftime", 40},
      {"hex", 25},
      {"quote", 25},
      // These were measured with as many arguments as functions may have, each a value of that size.
      {"char", 50},
      {"concat", 45},
      {"concat_ws", 60},
      {"format", 50},
      {"printf", 50},
      {"json_array_insert", kJsonPathsNsPerByte},
      {"json_extract", kJsonPathsNsPerByte},
      {"json_insert", kJsonPathsNsPerByte},
      {"json_remove", kJsonPathsNsPerByte},
      {"json_replace", kJsonPathsNsPerByte},
      {"json_set", kJsonPathsNsPerByte},
      {"jsonb_array_insert", kJsonPathsNsPerByte},
      {"jsonb_extract", kJsonPathsNsPerByte},
      {"jsonb_insert", kJsonPathsNsPerByte},
      {"jsonb_remove", kJsonPathsNsPerByte},
      {"jsonb_replace", kJsonPathsNsPerByte},
      {"jsonb_set", kJsonPathsNsPerByte},
      // These look at the time themselves.
      {"instr", 0},
      {"json_patch", 0},
      {"jsonb_patch", 0},
      {"ltrim", 0},
      {"replace", 0},
      {"rtrim", 0},
      {"trim", 0},
      // These look at no bytes.
      {"changes", 0},
      {"count", 0},
      {"last_insert_rowid", 0},
      {"random", 0},
      {"total_changes", 0},
      {"typeof", 0},
  };
  const std::string lower = absl::AsciiStrToLower(name);
  auto it = others->find(lower);
  if (it != others->end()) return it->second;
  if (lower == "like" || lower == "glob") return like_ns_per_byte_;
  return absl::StartsWith(lower, "json") || absl::StartsWith(lower, "->") ? kJsonNsPerByte : kFunctionNsPerByte;
}

Program Program::Unknown() {
  constexpr int64_t kNsPerByte = 50'000;
  Program program;
  program.is_short_ = false;
  program.ns_per_byte_max_ = kNsPerByte;
  return program;
}

void Program::Add(int64_t address, absl::string_view opcode, absl::string_view p4, int64_t p5) {
  if (address == 0) ns_per_byte_ = 0;
  is_short_ = is_short_ && IsShortOpcode(opcode);
  if (CallsAFunction(opcode)) {
    const absl::string_view name = NameOf(p4);
    is_short_ = is_short_ && IsShortFunction(name);
    if (refused_function_.empty() && !FunctionAllowed(name) && !IsOfAnalyze(name))
      refused_function_ = std::string(name);
    ns_per_byte_ += FunctionNsPerByte(name);
  } else {
    ns_per_byte_ += OpcodeNsPerByte(opcode, p5);
  }
  ns_per_byte_max_ = std::max(ns_per_byte_max_, ns_per_byte_);
}

int Program::ValueBytesMax() const {
  const int64_t bytes = absl::ToInt64Nanoseconds(kUncheckedTimeMax) / std::max(ns_per_byte_max_, int64_t{1});
  return static_cast<int>(std::min(bytes, int64_t{std::numeric_limits<int>::max()}));
}

absl::string_view WithoutEmptyStatements(absl::string_view sql) {
  absl::ConsumePrefix(&sql, "\xef\xbb\xbf");
  while (!sql.empty()) {
    size_t skipped = 0;
    if (absl::StartsWith(sql, "--")) {
      skipped = std::min(sql.find('\n'), sql.size());
    } else if (absl::StartsWith(sql, "/*")) {
      const size_t end = sql.find("*/", 2);
      skipped = end == absl::string_view::npos ? sql.size() : end + 2;
    } else if (absl::string_view(" \t\n\f\r;").find(sql[0]) != absl::string_view::npos) {
      skipped = 1;
    }
    if (skipped == 0) break;
    sql.remove_prefix(skipped);
  }
  return sql;
}

}  // namespace holdfast::storage::sql
