// Splits text into SQL statements as sqlite3's own shell does: at the semicolons where sqlite3_complete() says so, not
// at those in strings, in comments and between the statements of a trigger.

#ifndef HOLDFAST_CLIENT_SQL_SPLIT_H_
#define HOLDFAST_CLIENT_SQL_SPLIT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// The server's bound for one statement (sql.proto), its semicolon included.
inline constexpr size_t kStatementBytesMax = 100'000;

struct SqlText {
  // The statement with its semicolon, if it had one, without the blanks around it.
  std::string sql;
  // The line on which the statement begins, from 1. A comment that ends on an earlier line is no part of the statement.
  int64_t line = 0;
};

// Takes lines and returns the statements in them. Blanks and comments alone are no statement. The splitter keeps the
// unfinished statement and everything that Next() has not returned yet. Single-threaded.
class SqlSplitter {
 public:
  // Adds a line without its newline. It must have no NUL.
  void Add(absl::string_view line);
  // Returns the next statement that has its semicolon; nullopt: there is none until the next line.
  std::optional<SqlText> Next();
  // Returns the rest after the last line as a statement, which needs no semicolon; nullopt if it is blank.
  std::optional<SqlText> Rest();

  // These are for use after Next() returned nullopt. They return whether a statement has begun, and whether it is
  // already over kStatementBytesMax, so that Next() will find no end to it.
  bool pending() const { return begin_ < text_.size(); }
  bool too_long() const { return text_.size() - begin_ > kStatementBytesMax + 1; }  // 1: the newline
  // Return the number of the line that the next Add() is for, and that of the line on which the pending text begins.
  int64_t next_line() const { return next_line_; }
  int64_t pending_line() const { return line_; }

 private:
  // Removes and returns the first `size` bytes of the pending text.
  SqlText Take(size_t size);
  // Removes the pending text if it is blank.
  void DropBlank();

  std::string text_;
  size_t begin_ = 0;    // the position in text_ at which the pending text begins
  size_t scanned_ = 0;  // the position in text_ before which no statement ends
  int64_t line_ = 1;    // the line of begin_
  int64_t next_line_ = 1;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_SPLIT_H_
