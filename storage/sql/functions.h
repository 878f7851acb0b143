// SQL functions in place of SQLite's own, which run for longer than anybody waits: one function is one step, and within
// it SQLite asks nobody whether to go on.
//
//   instr, replace        search in a time that grows with the text and not with the pattern times the text
//   trim, ltrim, rtrim    look at the time within: each character of the text is compared with all to be trimmed
//   json_patch            SQLite's own, as long as the documents are not so large that it takes too long
//
// They all look at the time before they begin. SQLite's others take as long as their arguments are: for row_bytes_max,
// 0.5 s for GLOB and LIKE of a pattern of 50 bytes, 0.2 s for JSON and strftime, and well below 0.1 s for the rest
// (measured). How often a statement may call them so is bounded by what it consists of (program.h).
//
// The results are the same as those of SQLite's, of texts that are not UTF-8 too.

#ifndef HOLDFAST_STORAGE_SQL_FUNCTIONS_H_
#define HOLDFAST_STORAGE_SQL_FUNCTIONS_H_

#include <cstddef>

#include "storage/sql/budget.h"

struct sqlite3;

namespace holdfast::storage::sql {

// json_patch compares each key of one document with each of the other: the bytes of one times those of the other.
inline constexpr size_t kJsonPatchBytesMax = size_t{1} << 30;

// For one connection, which `budget` outlives. The result is SQLite's.
int RegisterFunctions(sqlite3* db, Budget* budget);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_FUNCTIONS_H_
