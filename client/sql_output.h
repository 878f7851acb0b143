// How the tool prints the result of a SQL statement.

#ifndef HOLDFAST_CLIENT_SQL_OUTPUT_H_
#define HOLDFAST_CLIENT_SQL_OUTPUT_H_

#include "client/output.h"
#include "holdfast/v1/sql.pb.h"

namespace holdfast::client {

enum class SqlFormat {
  // For people: columns below each other under their names and a line of dashes. NULL is empty, a blob X'00FF',
  // infinity
  // Inf; text is made Printable. Nothing is printed where there are no rows.
  kTable,
  // One JSON object a row and line, the columns in order; the second of two columns `id` is `id:1`. A blob is base64. A
  // whole number of more than 53 bits, which many readers would round, is a string, as are "Infinity" and "-Infinity".
  kJson,
  // RFC 4180, under the names of the columns also where there are no rows. NULL is empty and the empty text is "", a
  // blob base64.
  kCsv,
};

// Prints nothing for a statement that returns no rows by its nature. A real has as many digits as tell it from all
// others.
void PrintSqlResult(SqlFormat format, const v1::SqlResult& result, TextOutput& text);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_OUTPUT_H_
