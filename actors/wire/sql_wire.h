// SQL on the wire: the statements and results of clients, and the errors of SQL as clients see them.

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

// A statement of a request; `field` is its name in the request.
struct SqlText {
  std::string field;
  std::string sql;
  std::vector<storage::sql::Value> params;
};

// INVALID_FIELD if the statement has no text.
absl::StatusOr<SqlText> SqlTextOf(const v1::SqlStatement& statement, std::string field);

void FillSqlResult(const storage::sql::Result& result, v1::SqlResult* wire);

// Turns an error of the connection into one for clients; `field` names the statement, or is empty (COMMIT). An error
// that no client caused stays as it is, since one of these makes a transaction run on a worker.
absl::Status SqlFailed(const absl::Status& status, absl::string_view field);

// Runs the statement in the transaction; its error is SqlFailed's.
absl::StatusOr<storage::sql::Result> RunSql(storage::sql::Connection& connection, const SqlText& text);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_WIRE_SQL_WIRE_H_
