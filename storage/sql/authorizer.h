// Decides what a client's SQL may do with the database of an object: it may use tables, indexes, views, triggers, FTS5
// and R-trees, and some pragmas. While SQLite prepares a statement, it asks about each action of the statement.
//
// Functions, modules and pragmas are allowed by lists, so additions of a later SQLite are refused until somebody has
// looked at them: fts3_tokenizer, for one, takes a pointer from a client, whatever else is switched off. The call is
// the transaction, there are no other databases and no temporary objects, and names that begin with kOwnPrefix are
// reserved.

#ifndef HOLDFAST_STORAGE_SQL_AUTHORIZER_H_
#define HOLDFAST_STORAGE_SQL_AUTHORIZER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {

// The prefix of reserved names, in any case.
inline constexpr absl::string_view kOwnPrefix = "_holdfast";

// The allowed modules of virtual tables, for sqlite3_drop_modules, which removes all others. The last element is null.
extern const char* const kModules[];

// Returns whether a client may call the function, whose name may have any case.
bool FunctionAllowed(absl::string_view name);

// The kinds of statement that bear on transactions. The connection decides where they may stand.
enum class Control { kNone, kBegin, kCommit, kForeignKeysOn, kForeignKeysOff };

class Authorizer {
 public:
  // Forgets the statement before. Called before a statement is prepared.
  void Begin() { *this = {}; }
  // The callback for sqlite3_set_authorizer; the result is SQLite's.
  int Check(int action, const char* first, const char* second, const char* database);

  // The reason of the first refusal; empty if nothing was refused.
  const std::string& refusal() const { return refusal_; }
  // Returns whether all actions so far may be those of a short statement: no DDL, no pragmas, only short functions.
  bool is_short() const { return is_short_; }
  // Returns whether the statement may change the schema, or the statistics that plans are made by.
  bool changes_schema() const { return changes_schema_; }
  // Returns whether the statement is ALTER TABLE. The new names must be checked after it, since SQLite does not ask
  // about them.
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
