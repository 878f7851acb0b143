// SQL functions in place of SQLite's own, which can run for longer than anybody waits: one function is one step, and
// within a step SQLite does not ask whether to go on.
//
//   instr, replace        search in a time that grows with the text and not with the pattern times the text
//   trim, ltrim, rtrim    look at the time as they go: each character of the text is compared with all to be trimmed
//   json_patch            is SQLite's own, refused if the documents are so large that it would take too long
//
// They all look at the time before they begin. The time of SQLite's other functions grows with the size of their
// arguments: for row_bytes_max, 0.5 s for GLOB and LIKE of a pattern of 50 bytes, 0.2 s for JSON and strftime, and well
// below 0.1 s for the rest (measured). program.h bounds how long a statement may call them between two looks at the
// time.
//
// The results are the same as those of SQLite's functions, also for texts that are not UTF-8.

#ifndef HOLDFAST_STORAGE_SQL_FUNCTIONS_H_
#define HOLDFAST_STORAGE_SQL_FUNCTIONS_H_

#include <cstddef>

#include "storage/sql/budget.h"

struct sqlite3;

namespace holdfast::storage::sql {

// The most that the product of the sizes of the two documents of json_patch may be: it compares each key of one
// document with each key of the other.
inline constexpr size_t kJsonPatchBytesMax = size_t{1} << 30;

// Registers the functions for one connection, which `budget` outlives. The result is SQLite's.
int RegisterFunctions(sqlite3* db, Budget* budget);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_FUNCTIONS_H_
