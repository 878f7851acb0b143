#include "storage/sql/authorizer.h"

#include <sqlite3.h>

#include <algorithm>
#include <initializer_list>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/sql/short_statements.h"

namespace holdfast::storage::sql {
namespace {

enum class Pragma { kRefused, kTells, kAllowed };

// kTells: the pragma is allowed only without a value, which would set something.
Pragma PragmaOf(absl::string_view name) {
  static const auto* const allowed = new absl::flat_hash_map<std::string, Pragma>{
      {"data_version", Pragma::kTells},  // FTS5 runs it
      {"defer_foreign_keys", Pragma::kAllowed}, {"foreign_key_check", Pragma::kAllowed},
      {"foreign_key_list", Pragma::kAllowed},   {"index_info", Pragma::kAllowed},
      {"index_list", Pragma::kAllowed},         {"index_xinfo", Pragma::kAllowed},
      {"optimize", Pragma::kAllowed},           {"page_size", Pragma::kTells},  // R-trees run it
      {"quick_check", Pragma::kAllowed},        {"table_info", Pragma::kAllowed},
      {"table_list", Pragma::kAllowed},         {"table_xinfo", Pragma::kAllowed},
      {"user_version", Pragma::kAllowed},
  };
  auto it = allowed->find(absl::AsciiStrToLower(name));
  return it == allowed->end() ? Pragma::kRefused : it->second;
}

bool ModuleAllowed(absl::string_view name) {
  for (const char* const* module = kModules; *module != nullptr; ++module) {
    if (absl::EqualsIgnoreCase(name, *module)) return true;
  }
  return false;
}

absl::string_view OrEmpty(const char* text) { return text == nullptr ? absl::string_view() : text; }

Control ControlOf(int action, absl::string_view first, absl::string_view second) {
  if (action == SQLITE_TRANSACTION && first == "BEGIN") return Control::kBegin;
  if (action == SQLITE_TRANSACTION && first == "COMMIT") return Control::kCommit;
  if (action != SQLITE_PRAGMA || !absl::EqualsIgnoreCase(first, "foreign_keys")) return Control::kNone;
  const auto is_one_of = [second](std::initializer_list<absl::string_view> words) {
    return std::ranges::any_of(words,
                               [second](absl::string_view word) { return absl::EqualsIgnoreCase(word, second); });
  };
  if (is_one_of({"on", "yes", "true", "1"})) return Control::kForeignKeysOn;
  return is_one_of({"off", "no", "false", "0"}) ? Control::kForeignKeysOff : Control::kNone;
}

// Returns the reason why a client may not do this; empty if it may.
std::string WhyRefused(int action, absl::string_view first, const char* second, absl::string_view database) {
  switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      return "ATTACH and DETACH are not allowed: an object has one database";
    case SQLITE_TRANSACTION:
      return absl::StrCat(first, " is not allowed: the call is the transaction");
    case SQLITE_SAVEPOINT:
      return "savepoints are not allowed: the call is the transaction";
    case SQLITE_PRAGMA:
      if (database == "temp") return "temporary tables are not allowed";
      switch (PragmaOf(first)) {
        case Pragma::kAllowed:
          return "";
        case Pragma::kTells:
          return second == nullptr ? "" : absl::StrCat("PRAGMA ", first, " with a value is not allowed");
        case Pragma::kRefused:
          // A dump of a database that has virtual tables begins with this pragma.
          if (absl::EqualsIgnoreCase(first, "writable_schema")) {
            return absl::StrCat("PRAGMA ", first, " is not allowed; ImportSql takes a database as a file");
          }
          return absl::StrCat("PRAGMA ", first, " is not allowed");
      }
      return "";
    case SQLITE_FUNCTION:
      return FunctionAllowed(OrEmpty(second)) ? "" : absl::StrCat("the function ", second, " is not allowed");
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
      return "temporary tables, views, indexes and triggers are not allowed";
    case SQLITE_CREATE_VTABLE:
      if (!ModuleAllowed(OrEmpty(second))) {
        return absl::StrCat("virtual tables of ", second, " are not allowed; of fts5, fts5vocab, rtree are");
      }
      [[fallthrough]];
    // CREATE TEMP is refused above; `CREATE TABLE temp.x` comes here.
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
      if (database == "temp") return "temporary tables, views, indexes and triggers are not allowed";
      if (absl::StartsWithIgnoreCase(first, kOwnPrefix)) {
        return absl::StrCat("the name ", first, " is not allowed: those that begin with ", kOwnPrefix, " are reserved");
      }
      return "";
    default:
      return "";
  }
}

}  // namespace

const char* const kModules[] = {"fts5", "fts5vocab", "rtree", "rtree_i32", "json_each", "json_tree", nullptr};

bool FunctionAllowed(absl::string_view name) {
  static const auto* const allowed = new absl::flat_hash_set<std::string>{
      // Core.
      "abs", "changes", "char", "coalesce", "concat", "concat_ws", "format", "glob", "hex", "if", "ifnull", "iif",
      "instr", "last_insert_rowid", "length", "like", "likelihood", "likely", "lower", "ltrim", "max", "min", "nullif",
      "octet_length", "printf", "quote", "random", "randomblob", "replace", "round", "rtrim", "sign", "soundex",
      "sqlite_compileoption_get", "sqlite_compileoption_used", "sqlite_source_id", "sqlite_version", "substr",
      "substring", "total_changes", "trim", "typeof", "unicode", "unistr", "unistr_quote", "unlikely", "upper",
      "zeroblob",
      // unhex is left out: its time grows with the product of its two arguments, and it never looks at the time.
      // Dates.
      "current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time",
      "timediff", "unixepoch",
      // Aggregates and windows.
      "avg", "count", "cume_dist", "dense_rank", "first_value", "group_concat", "lag", "last_value", "lead",
      "nth_value", "ntile", "percent_rank", "rank", "row_number", "string_agg", "sum", "total",
      // Mathematics.
      "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh", "degrees", "exp",
      "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power", "radians", "sin", "sinh", "sqrt", "tan",
      "tanh", "trunc",
      // JSON. json_pretty is left out: an element takes as many steps as it is deep, and there is no look at the time.
      "->", "->>", "json", "json_array", "json_array_insert", "json_array_length", "json_error_position",
      "json_extract", "json_group_array", "json_group_object", "json_insert", "json_object", "json_patch", "json_quote",
      "json_remove", "json_replace", "json_set", "json_type", "json_valid", "jsonb", "jsonb_array",
      "jsonb_array_insert", "jsonb_extract", "jsonb_group_array", "jsonb_group_object", "jsonb_insert", "jsonb_object",
      "jsonb_patch", "jsonb_remove", "jsonb_replace", "jsonb_set",
      // FTS5.
      "bm25", "highlight", "match", "snippet",
      // ALTER TABLE runs them; SQLite refuses them to clients itself.
      "sqlite_drop_column", "sqlite_rename_column", "sqlite_rename_quotefix", "sqlite_rename_table",
      "sqlite_rename_test"};
  return allowed->contains(absl::AsciiStrToLower(name));
}

int Authorizer::Check(int action, const char* first, const char* second, const char* database) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      is_short_ = is_short_ && IsShortFunction(OrEmpty(second));
      break;
    default:
      is_short_ = false;
      changes_schema_ = true;
  }
  alters_ = alters_ || action == SQLITE_ALTER_TABLE;
  is_pragma_ = is_pragma_ || action == SQLITE_PRAGMA;
  if (const Control control = ControlOf(action, OrEmpty(first), OrEmpty(second)); control != Control::kNone) {
    control_ = control;
    return SQLITE_OK;
  }
  std::string refusal = WhyRefused(action, OrEmpty(first), second, OrEmpty(database));
  if (refusal.empty()) return SQLITE_OK;
  if (refusal_.empty()) refusal_ = std::move(refusal);
  return SQLITE_DENY;
}

}  // namespace holdfast::storage::sql
