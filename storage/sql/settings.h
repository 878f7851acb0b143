// The setup of a connection, and the limits of its SQL.

#ifndef HOLDFAST_STORAGE_SQL_SETTINGS_H_
#define HOLDFAST_STORAGE_SQL_SETTINGS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

struct sqlite3;

namespace holdfast::storage::sql {

struct Limits {
  size_t cache_bytes = 256 << 10;    // of pages
  size_t heap_bytes_max = 96 << 20;  // SQLite's memory: the old pages of what a turn changes, too
  uint64_t temp_bytes_max = 256 << 20;
  size_t result_bytes_max = 3'670'016;         // 3.5 MiB, of a transaction
  size_t result_memory_bytes_max = 16 << 20;   // of memory, here and in the reply
  uint32_t pages_max = 2'621'440;              // 10 GiB
  absl::Duration time_max = absl::Seconds(5);  // of a transaction on a worker
  int statement_bytes_max = 100'000;
  // The bytes of a parameter, and of a value in a result.
  int value_bytes_max = 2 << 20;
  // The bytes of a row, and of a value inside SQL: a value that SQL computes and stores itself may be larger than
  // value_bytes_max, up to this, and can then be read in parts only.
  int row_bytes_max = (4 << 20) + (64 << 10);
  int columns_max = 100;  // of a table, and of a result
  int params_max = 100;
  int like_pattern_bytes_max = 50;
  int function_args_max = 32;
};

// Sets a new connection up, except for the callbacks. The result is SQLite's.
int Configure(sqlite3* db, const Limits& limits);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_SETTINGS_H_
