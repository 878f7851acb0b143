// How a connection is set up: what its SQL may do, and how much of everything it may take.

#ifndef HOLDFAST_STORAGE_SQL_SETTINGS_H_
#define HOLDFAST_STORAGE_SQL_SETTINGS_H_

#include <cstddef>
#include <cstdint>

struct sqlite3;

namespace holdfast::storage::sql {

struct Limits {
  size_t cache_bytes = 1 << 20;      // of pages; a sort takes as much again before it goes to a temporary file
  size_t temp_bytes_max = 16 << 20;  // of all temporary files, which are memory too
  size_t result_bytes_max = 4 << 20;
  uint32_t pages_max = 2'621'440;  // 10 GiB
  int statement_bytes_max = 100'000;
  int row_bytes_max = 2 << 20;
  int columns_max = 100;
  int params_max = 100;
};

// Allows what a client's SQL may do with the database of an object: tables, indexes, views, triggers, FTS5 and R-trees,
// and pragmas that tell something. Transactions are the turn's, other databases are not there, and the one function
// that takes a pointer from a client (fts3_tokenizer) is refused: neither SQLITE_DBCONFIG_DEFENSIVE nor
// SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER stops it. For sqlite3_set_authorizer.
int Authorize(int action, const char* first, const char* second, const char* database);

// Sets a new connection up, but for the authorizer. The result is SQLite's.
int Configure(sqlite3* db, const Limits& limits);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_SETTINGS_H_
