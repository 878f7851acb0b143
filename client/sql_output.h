// Prints the result of a SQL statement for the tool.

#ifndef HOLDFAST_CLIENT_SQL_OUTPUT_H_
#define HOLDFAST_CLIENT_SQL_OUTPUT_H_

#include "client/output.h"
#include "holdfast/v1/sql.pb.h"

namespace holdfast::client {

enum class SqlFormat {
  // For people: aligned columns under their names and a line of dashes. NULL is empty, a blob X'00FF', infinity Inf;
  // text is made Printable. Nothing is printed if there are no rows.
  kTable,
  // One JSON object and line per row, the columns in order; the second of two columns `id` is `id:1`. A blob is base64.
  // A whole number of more than 53 bits, which many readers would round, is a string, and so are "Infinity" and
  // "-Infinity".
  kJson,
  // RFC 4180, with the names of the columns even if there are no rows. NULL is empty, the empty text is "", and a blob
  // is base64.
  kCsv,
};

// Prints a result; nothing for a kind of statement that returns no rows. A real has as many digits as tell it from all
// others.
void PrintSqlResult(SqlFormat format, const v1::SqlResult& result, TextOutput& text);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_OUTPUT_H_
