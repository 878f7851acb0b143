// Texts of several statements, and foreign keys that are off for a part of a transaction.

#include <sqlite3.h>

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "storage/sql/connection.h"

namespace holdfast::storage::sql {
namespace {

std::string ForPeople(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<int64_t>(&value)) return absl::StrCat(*number);
  return "?";
}

}  // namespace

absl::Status Connection::RunStatements(absl::string_view sql, absl::Span<const Value> params, Result* result) {
  const ResultReader::Size size_before = results_.size();
  const bool foreign_keys_before = foreign_keys_;
  Script script;
  absl::Status status;
  absl::string_view rest = sql;
  do {
    const bool was_writing = sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE;
    auto prepared = Take(rest);
    if (!prepared.ok()) {
      status = prepared.status();
      CheckTransaction(status, !was_writing);
      break;
    }
    const bool only_read = !was_writing && sqlite3_stmt_readonly(prepared->statement.get()) != 0;
    rest = prepared->tail;
    if (prepared->control != Control::kNone) {
      status = RunControl(prepared->control, &script);
    } else {
      results_.set_size(size_before);
      status = RunOneOf(&*prepared, params, result);
    }
    KeepStatement(*std::move(prepared));
    CheckTransaction(status, only_read);
  } while (status.ok() && usable() && !rest.empty());
  if (status.ok()) status = usable() ? EndScript(script, foreign_keys_before) : ended_;
  if (status.ok()) return status;
  results_.set_size(size_before);
  if (foreign_keys_ != foreign_keys_before) GiveUp(status);
  return status;
}

absl::Status Connection::RunOneOf(PreparedStatement* prepared, absl::Span<const Value> params, Result* result) {
  if (absl::Status status = MayRun(prepared, params); !status.ok()) return status;
  if (!prepared->tail.empty() && (!params.empty() || sqlite3_bind_parameter_count(prepared->statement.get()) > 0)) {
    return MakeFailure({.kind = FailureKind::kSqlError}, "there is more than one statement, and parameters");
  }
  result->columns.clear();
  result->rows.clear();
  if (absl::Status status = RunStatement(prepared, params, result, nullptr); !status.ok()) return status;
  return prepared->alters ? CheckNames() : absl::OkStatus();
}

absl::Status Connection::RunControl(Control control, Script* script) {
  switch (control) {
    case Control::kNone:
      break;
    case Control::kBegin:
      if (script->open) return Refused("BEGIN is not allowed within a transaction");
      script->open = script->began = true;
      break;
    case Control::kCommit:
      if (!script->open) return Refused("COMMIT is not allowed: the call is the transaction");
      script->open = false;
      break;
    case Control::kForeignKeysOn:
    case Control::kForeignKeysOff:
      // Within a transaction the pragma does nothing, as in SQLite.
      if (script->open) break;
      if (read_only_) return Refused("PRAGMA foreign_keys is not allowed in a request that is read_only");
      script->switches_foreign_keys = true;
      return SetForeignKeys(control == Control::kForeignKeysOn);
  }
  return absl::OkStatus();
}

absl::Status Connection::EndScript(const Script& script, bool foreign_keys) {
  absl::Status status;
  if (script.open) {
    status = Refused("BEGIN is not allowed: the call is the transaction; only a text that has its COMMIT may have one");
  } else if (script.switches_foreign_keys && !script.began) {
    status = Refused("PRAGMA foreign_keys is not allowed but in a text that has BEGIN and COMMIT, before or after");
  } else {
    return SetForeignKeys(foreign_keys);
  }
  // The whole text has run already.
  GiveUp(status);
  return status;
}

absl::Status Connection::Refused(absl::string_view why) {
  return MakeFailure({.kind = FailureKind::kSqlError, .sqlite_code = SQLITE_AUTH}, why);
}

absl::Status Connection::CheckForeignKeys() {
  Files::Scope scope(&files_);
  const ResultReader::Size size_before = results_.size();
  Result broken;
  absl::Status status =
      RunStatements("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT 1", {}, &broken);
  results_.set_size(size_before);
  if (!status.ok() || broken.rows.empty()) return status;
  const Row& row = broken.rows.front();
  // Rows of a table WITHOUT ROWID have no number.
  const std::string which =
      std::holds_alternative<Null>(row[1]) ? "a row" : absl::StrCat("the row with rowid ", ForPeople(row[1]));
  return MakeFailure(
      {.kind = FailureKind::kConstraint, .sqlite_code = SQLITE_CONSTRAINT_FOREIGNKEY},
      absl::StrCat(which, " of the table ", ForPeople(row[0]), " refers to no row of ", ForPeople(row[2])));
}

absl::Status Connection::SetForeignKeys(bool enforced) {
  if (!usable()) return ended_;
  if (!stuck_.ok()) return stuck_;
  if (enforced == foreign_keys_) return absl::OkStatus();
  if (budget_.is_short()) return stuck_ = NeedsWorker();
  if (enforced) {
    if (absl::Status status = CheckForeignKeys(); !status.ok()) {
      GiveUp(status);
      return status;
    }
  }
  turn_has_writes_ = turn_has_writes_ || sqlite3_txn_state(db_.get(), "main") == SQLITE_TXN_WRITE;
  if (absl::Status status = Run(commit_); !status.ok()) return status;
  if (sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_FKEY, enforced ? 1 : 0, nullptr) != SQLITE_OK) {
    const absl::Status status = Error();
    GiveUp(status);
    return status;
  }
  foreign_keys_ = enforced;
  // Statements must be examined again, since foreign keys change their programs.
  ++schema_changes_;
  return Run(begin_);
}

}  // namespace holdfast::storage::sql
