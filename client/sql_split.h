// Text cut into the statements of SQLite's language, as sqlite3's own shell cuts it: at the semicolons where
// sqlite3_complete() says so, so not at those in strings, in comments and between the statements of a trigger.

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
  // With its semicolon, if it had one; without the blanks around it.
  std::string sql;
  // Where it begins, the first line being 1. A comment that ends on an earlier line is no part of the statement.
  int64_t line = 0;
};

// Takes lines and gives the statements in them. What is nothing but blanks and comments is no statement.
// Single-threaded. It keeps the unfinished statement and what Next() has not given yet.
class SqlSplitter {
 public:
  // A line without its newline. It must have no NUL.
  void Add(absl::string_view line);
  // The next statement that has its semicolon; nullopt: none until the next line.
  std::optional<SqlText> Next();
  // What is left after the last line, as the statement that it may be; it needs no semicolon.
  std::optional<SqlText> Rest();

  // After Next() gave nothing: whether a statement has begun, and whether it is over kStatementBytesMax already, so
  // that Next() will find no end to it.
  bool pending() const { return begin_ < text_.size(); }
  bool too_long() const { return text_.size() - begin_ > kStatementBytesMax + 1; }  // 1: the newline
  // The number of the line that the next Add() is for, and of that on which what is pending begins.
  int64_t next_line() const { return next_line_; }
  int64_t pending_line() const { return line_; }

 private:
  // Removes the first `size` bytes of what is there.
  SqlText Take(size_t size);
  // Removes what is there if it is blank.
  void DropBlank();

  std::string text_;
  size_t begin_ = 0;    // in text_: what was not given yet
  size_t scanned_ = 0;  // in text_: no statement ends before
  int64_t line_ = 1;    // of begin_
  int64_t next_line_ = 1;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_SPLIT_H_
