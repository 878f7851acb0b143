// Prepared statements of one connection, kept by their text between calls, the least recently used dropped first.
//
// Bounds: kStatementsMax statements, which together take kBytesMax of SQLite's memory; a text over kTextBytesMax is
// prepared anew each time. Threading: as the connection. It must be gone before the connection is closed.

#ifndef HOLDFAST_STORAGE_SQL_STATEMENT_CACHE_H_
#define HOLDFAST_STORAGE_SQL_STATEMENT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "storage/sql/authorizer.h"

struct sqlite3_stmt;

namespace holdfast::storage::sql {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const;
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// A statement with all that is known of it.
struct PreparedStatement {
  absl::string_view text;  // the text that it was prepared from; not valid in the cache
  absl::string_view tail;  // the text after it; empty if no statement is in that
  StatementPtr statement;
  // These five are the authorizer's findings (authorizer.h).
  bool alters = false;
  bool is_pragma = false;
  bool authorized_as_short = false;
  bool changes_schema = false;
  Control control = Control::kNone;
  // These are found out when the statement first runs, and hold for the schema that schema_changes names.
  std::optional<bool> is_short;
  std::optional<int> value_bytes_max;
  uint64_t schema_changes = 0;
  size_t bytes = 0;  // of memory; 0: not known
};

class StatementCache {
 public:
  static constexpr size_t kStatementsMax = 16;
  static constexpr size_t kBytesMax = 64 << 10;
  static constexpr size_t kTextBytesMax = 4096;

  StatementCache() = default;
  StatementCache(const StatementCache&) = delete;
  StatementCache& operator=(const StatementCache&) = delete;

  // Takes the statement of exactly this text out of the cache, if it is there.
  std::optional<PreparedStatement> Take(absl::string_view text);
  // Puts a statement that has run back, if it fits the bounds, and clears its parameters.
  void Keep(PreparedStatement prepared);
  void Clear();
  size_t size() const { return statements_.size(); }

 private:
  struct Entry {
    std::string text;
    PreparedStatement prepared;
  };

  void DropOldest();

  std::list<Entry> statements_;  // the most recently used first
  absl::flat_hash_map<absl::string_view, std::list<Entry>::iterator> by_text_;
  size_t bytes_ = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_STATEMENT_CACHE_H_
