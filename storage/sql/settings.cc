#include "storage/sql/settings.h"

#include <sqlite3.h>

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast::storage::sql {
namespace {

// Pragmas that are allowed; true: also with an argument that is not the name of a table or an index, which sets
// something. FTS5 runs data_version itself, R-trees page_size, ALTER TABLE quick_check.
bool PragmaAllowed(absl::string_view name, bool has_argument) {
  enum Argument { kNone, kAny };
  static const auto* const allowed = new absl::flat_hash_map<std::string, Argument>{
      {"data_version", kNone},   {"defer_foreign_keys", kAny}, {"foreign_key_check", kAny}, {"foreign_key_list", kAny},
      {"freelist_count", kNone}, {"incremental_vacuum", kAny}, {"index_info", kAny},        {"index_list", kAny},
      {"index_xinfo", kAny},     {"integrity_check", kAny},    {"page_count", kNone},       {"page_size", kNone},
      {"quick_check", kAny},     {"table_info", kAny},         {"table_list", kAny},        {"table_xinfo", kAny},
      {"user_version", kAny},
  };
  auto it = allowed->find(absl::AsciiStrToLower(name));
  return it != allowed->end() && (!has_argument || it->second == kAny);
}

bool FunctionAllowed(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return lower != "fts3_tokenizer" && lower != "load_extension";
}

bool ModuleAllowed(absl::string_view name) {
  static const auto* const allowed =
      new absl::flat_hash_set<std::string>{"fts5", "fts5vocab", "rtree", "rtree_i32", "geopoly"};
  return allowed->contains(absl::AsciiStrToLower(name));
}

absl::string_view OrEmpty(const char* text) { return text == nullptr ? absl::string_view() : text; }

}  // namespace

int Authorize(int action, const char* first, const char* second, const char* database) {
  bool allowed = true;
  switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
      allowed = false;
      break;
    case SQLITE_PRAGMA:
      allowed = PragmaAllowed(OrEmpty(first), second != nullptr) && OrEmpty(database) != "temp";
      break;
    case SQLITE_FUNCTION:
      allowed = FunctionAllowed(OrEmpty(second));
      break;
    case SQLITE_CREATE_VTABLE:
      allowed = ModuleAllowed(OrEmpty(second)) && OrEmpty(database) != "temp";
      break;
    // Those above are of CREATE TEMP; `CREATE TABLE temp.x` comes here.
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
      allowed = OrEmpty(database) != "temp";
      break;
    default:
      break;
  }
  return allowed ? SQLITE_OK : SQLITE_DENY;
}

int Configure(sqlite3* db, const Limits& limits) {
  sqlite3_extended_result_codes(db, 1);
  // Without trust in the schema, triggers of this version cannot write FTS5 tables: a client does that itself.
  struct Switch {
    int option;
    int on;
  };
  for (const auto& [option, on] :
       {Switch{SQLITE_DBCONFIG_DEFENSIVE, 1}, Switch{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
        Switch{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, Switch{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        Switch{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0}}) {
    if (const int result = sqlite3_db_config(db, option, on, nullptr); result != SQLITE_OK) return result;
  }
  struct Limit {
    int id;
    int value;
  };
  for (const auto& [id, value] :
       {Limit{SQLITE_LIMIT_LENGTH, limits.row_bytes_max}, Limit{SQLITE_LIMIT_SQL_LENGTH, limits.statement_bytes_max},
        Limit{SQLITE_LIMIT_COLUMN, limits.columns_max}, Limit{SQLITE_LIMIT_VARIABLE_NUMBER, limits.params_max},
        Limit{SQLITE_LIMIT_EXPR_DEPTH, 100}, Limit{SQLITE_LIMIT_COMPOUND_SELECT, 50},
        Limit{SQLITE_LIMIT_VDBE_OP, 25'000}, Limit{SQLITE_LIMIT_FUNCTION_ARG, 100}, Limit{SQLITE_LIMIT_ATTACHED, 0},
        Limit{SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100}, Limit{SQLITE_LIMIT_TRIGGER_DEPTH, 20},
        Limit{SQLITE_LIMIT_WORKER_THREADS, 0}}) {
    sqlite3_limit(db, id, value);
  }
  // locking_mode first: it is what spares the file lock, and the change counter, of every transaction. Debian's SQLite
  // overwrites what is deleted, which would write pages that nothing refers to any more, and RocksDB keeps the old ones
  // for a while anyway. temp_store=FILE: what it would keep in memory has no bound.
  const std::string pragmas =
      absl::StrCat("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;",
                   "PRAGMA temp_store=FILE; PRAGMA secure_delete=OFF; PRAGMA cache_size=-", limits.cache_bytes >> 10,
                   "; PRAGMA max_page_count=", limits.pages_max);
  return sqlite3_exec(db, pragmas.c_str(), nullptr, nullptr, nullptr);
}

}  // namespace holdfast::storage::sql
