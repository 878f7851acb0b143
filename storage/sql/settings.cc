#include "storage/sql/settings.h"

#include <sqlite3.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sql/authorizer.h"

namespace holdfast::storage::sql {

int Configure(sqlite3* db, const Limits& limits) {
  sqlite3_extended_result_codes(db, 1);
  // Trust in the schema lets triggers write FTS5 tables. The schema may call no more than a statement may: the
  // authorizer is asked about triggers and views, too.
  struct Switch {
    int option;
    int on;
  };
  for (const auto& [option, on] :
       {Switch{SQLITE_DBCONFIG_DEFENSIVE, 1}, Switch{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
        Switch{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1}, Switch{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        Switch{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0}}) {
    if (const int result = sqlite3_db_config(db, option, on, nullptr); result != SQLITE_OK) return result;
  }
  // The limit has room for the EXPLAIN that is put before a statement.
  const int sql_bytes_max = limits.statement_bytes_max + 16;
  struct Limit {
    int id;
    int value;
  };
  for (const auto& [id, value] :
       {Limit{SQLITE_LIMIT_LENGTH, limits.row_bytes_max}, Limit{SQLITE_LIMIT_SQL_LENGTH, sql_bytes_max},
        Limit{SQLITE_LIMIT_COLUMN, limits.columns_max}, Limit{SQLITE_LIMIT_VARIABLE_NUMBER, limits.params_max},
        Limit{SQLITE_LIMIT_EXPR_DEPTH, 100}, Limit{SQLITE_LIMIT_COMPOUND_SELECT, 50},
        Limit{SQLITE_LIMIT_VDBE_OP, 25'000}, Limit{SQLITE_LIMIT_FUNCTION_ARG, limits.function_args_max},
        Limit{SQLITE_LIMIT_ATTACHED, 0}, Limit{SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits.like_pattern_bytes_max},
        Limit{SQLITE_LIMIT_TRIGGER_DEPTH, 1024}, Limit{SQLITE_LIMIT_WORKER_THREADS, 0}}) {
    sqlite3_limit(db, id, value);
  }
  // sqlite3_drop_modules only reads the names, though its signature does not say so.
  if (const int result = sqlite3_drop_modules(db, const_cast<const char**>(kModules)); result != SQLITE_OK) {
    return result;
  }
  // locking_mode comes first: it spares the file lock, and the change counter, of every transaction. secure_delete:
  // Debian's SQLite overwrites deleted data, which would write pages that nothing refers to any more, and RocksDB keeps
  // the old ones for a while anyway. temp_store=FILE: temporary data in memory would have no bound.
  const std::string pragmas =
      absl::StrCat("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;",
                   "PRAGMA temp_store=FILE; PRAGMA secure_delete=OFF; PRAGMA cache_size=-", limits.cache_bytes >> 10,
                   "; PRAGMA max_page_count=", limits.pages_max);
  return sqlite3_exec(db, pragmas.c_str(), nullptr, nullptr, nullptr);
}

}  // namespace holdfast::storage::sql
