// Describes the tables of an object's SQL database for DescribeObject.

#ifndef HOLDFAST_ACTORS_RUNTIME_SQL_DESCRIPTION_H_
#define HOLDFAST_ACTORS_RUNTIME_SQL_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/sql/connection.h"

namespace holdfast::actors {

struct SqlTable {
  std::string name;
  int64_t row_count = -1;  // -1: there was no time to count them
  std::string sql;         // the statements that make the table, its indexes and triggers, a line each
};

// Appends the first 1,000 tables by name, without SQLite's own tables and the shadow tables of virtual tables. The rows
// of the tables are counted one table after the other while the transaction has time; the rest stay uncounted. Names
// and statements of an imported database may be any bytes. The errors are those of SqlFailed.
absl::Status DescribeTables(storage::sql::Connection& connection, std::vector<SqlTable>* tables);

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_SQL_DESCRIPTION_H_
