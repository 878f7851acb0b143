// SQL on the wire: what clients send and get, and the errors that SQL gives them.

#ifndef HOLDFAST_ACTORS_WIRE_SQL_WIRE_H_
#define HOLDFAST_ACTORS_WIRE_SQL_WIRE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "holdfast/v1/sql.pb.h"
#include "storage/sql/connection.h"
#include "storage/sql/value.h"

namespace holdfast::actors {

// A statement of a request, which `field` names there.
struct SqlText {
  std::string field;
  std::string sql;
  std::vector<storage::sql::Value> params;
};

// INVALID_FIELD where the statement has no text.
absl::StatusOr<SqlText> SqlTextOf(const v1::SqlStatement& statement, std::string field);

void FillSqlResult(const storage::sql::Result& result, v1::SqlResult* wire);

// What an error of the connection is to a client; `field` names the statement, or is empty (COMMIT). What no client
// caused stays as it is, so that a transaction that is to run on a worker does.
absl::Status SqlFailed(const absl::Status& status, absl::string_view field);

// Runs it in the transaction; the error is SqlFailed's.
absl::StatusOr<storage::sql::Result> RunSql(storage::sql::Connection& connection, const SqlText& text);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_SQL_WIRE_H_
