// What a client's SQL may do with the database of an object: tables, indexes, views, triggers, FTS5 and R-trees, and
// pragmas that tell something. SQLite asks about each thing that a statement does while it prepares it.
//
// Functions, modules and pragmas are allowed by lists, so what a later SQLite brings is refused until somebody has
// looked at it: fts3_tokenizer takes a pointer from a client, whatever else is switched off. Transactions are the
// call's, other databases and temporary objects are not there, and names that begin with kOwnPrefix are ours.

#ifndef HOLDFAST_STORAGE_SQL_AUTHORIZER_H_
#define HOLDFAST_STORAGE_SQL_AUTHORIZER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {

// Whatever the case.
inline constexpr absl::string_view kOwnPrefix = "_holdfast";

// Modules of virtual tables, for sqlite3_drop_modules: all others are removed. The last is null.
extern const char* const kModules[];

// Whether a client may call it, whatever its case.
bool FunctionAllowed(absl::string_view name);

// A statement that says something about transactions. The connection decides where it may stand.
enum class Control { kNone, kBegin, kCommit, kForeignKeysOn, kForeignKeysOff };

class Authorizer {
 public:
  // Before a statement is prepared.
  void Begin() { *this = {}; }
  // For sqlite3_set_authorizer; the result is SQLite's.
  int Check(int action, const char* first, const char* second, const char* database);

  // What was refused, and why; empty: nothing.
  const std::string& refusal() const { return refusal_; }
  // Whether all that it saw is of a statement that may be short: no DDL, no pragmas, only short functions.
  bool is_short() const { return is_short_; }
  // Whether it may change the schema, or the statistics that a plan is made by.
  bool changes_schema() const { return changes_schema_; }
  // ALTER TABLE: the new names, of which it is not told, are to be looked at.
  bool alters() const { return alters_; }
  bool is_pragma() const { return is_pragma_; }
  Control control() const { return control_; }

 private:
  std::string refusal_;
  bool is_short_ = true;
  bool changes_schema_ = false;
  bool alters_ = false;
  bool is_pragma_ = false;
  Control control_ = Control::kNone;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_AUTHORIZER_H_
