// The values that go into a SQL statement and come out of it.

#ifndef HOLDFAST_STORAGE_SQL_VALUE_H_
#define HOLDFAST_STORAGE_SQL_VALUE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace holdfast::storage::sql {

struct Null {
  bool operator==(const Null&) const = default;
};
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
// A string is TEXT, which need not be UTF-8 where SQL has made it (CAST(x'ff' AS TEXT)).
using Value = std::variant<Null, int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;

struct Column {
  std::string name;
  std::string declared_type;  // empty for an expression
};

struct Result {
  std::vector<Column> columns;
  std::vector<Row> rows;
  int64_t vm_steps = 0;      // of SQLite's virtual machine: the cost of the statement
  int64_t rows_written = 0;  // inserted, updated or deleted, by triggers and foreign keys too
  int64_t last_insert_rowid = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_VALUE_H_
