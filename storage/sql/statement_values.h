// The values that go into a statement as parameters, and those that come out of it as rows, within their bounds.

#ifndef HOLDFAST_STORAGE_SQL_STATEMENT_VALUES_H_
#define HOLDFAST_STORAGE_SQL_STATEMENT_VALUES_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/sql/settings.h"
#include "storage/sql/value.h"

struct sqlite3_stmt;

namespace holdfast::storage::sql {

// Returns the bytes of a text or a blob; 8 for other values.
size_t BytesOf(const Value& value);

// Returns kSqlError unless there are as many parameters as the statement has, each within limits.value_bytes_max.
absl::Status CheckParams(sqlite3_stmt* statement, absl::Span<const Value> params, const Limits& limits);
// Binds parameters that were checked; they must outlive the run, since they are not copied. The result is SQLite's.
int BindParams(sqlite3_stmt* statement, absl::Span<const Value> params);

// Reads rows, and counts the bytes that the results of a transaction take together: in a reply, and in memory, as
// values and as the message that is made of them.
class ResultReader {
 public:
  explicit ResultReader(const Limits& limits) : limits_(limits) {}

  // Adds the row that the statement stands at. Returns kResultTooLarge, or kSqlError if one value is over
  // limits.value_bytes_max; the row is not added then.
  absl::Status ReadRow(sqlite3_stmt* statement, Result* result);
  // Adds the names and the declared types of the columns. Call it after the run: if the schema has changed, SQLite
  // prepares the statement again when it begins to run, and the columns may have changed then.
  static void ReadColumns(sqlite3_stmt* statement, Result* result);

  // Size of the rows that were read. A caller that drops rows goes back to the size before them.
  struct Size {
    size_t bytes = 0;
    size_t memory_bytes = 0;
  };
  const Size& size() const { return size_; }
  void set_size(const Size& size) { size_ = size; }

 private:
  const Limits limits_;
  Size size_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_STATEMENT_VALUES_H_
