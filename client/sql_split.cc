#include "client/sql_split.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

bool IsComplete(const std::string& sql) { return sqlite3_complete(sql.c_str()) == 1; }

// Returns whether text in which no statement ends has only blanks and comments. After a semicolon these are as complete
// as the semicolon by itself, and anything else begins a statement.
bool IsBlank(absl::string_view text) { return IsComplete(absl::StrCat(";", text)); }

}  // namespace

void SqlSplitter::Add(absl::string_view line) {
  text_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  absl::StrAppend(&text_, line, "\n");
  ++next_line_;
}

std::optional<SqlText> SqlSplitter::Next() {
  while (true) {
    const size_t semicolon = text_.find(';', scanned_);
    // A longer statement is refused, so the search stops here: each look starts from the beginning of the statement.
    if (semicolon == std::string::npos || semicolon >= begin_ + kStatementBytesMax) break;
    scanned_ = semicolon + 1;
    if (!IsComplete(text_.substr(begin_, scanned_ - begin_))) continue;
    SqlText statement = Take(scanned_ - begin_);
    if (!IsBlank(absl::string_view(statement.sql).substr(0, statement.sql.size() - 1))) return statement;
  }
  DropBlank();
  return std::nullopt;
}

std::optional<SqlText> SqlSplitter::Rest() {
  DropBlank();
  if (!pending()) return std::nullopt;
  return Take(text_.size() - begin_);
}

SqlText SqlSplitter::Take(size_t size) {
  const absl::string_view taken = absl::string_view(text_).substr(begin_, size);
  const absl::string_view stripped = absl::StripLeadingAsciiWhitespace(taken);
  const auto lines = [](absl::string_view text) { return std::count(text.begin(), text.end(), '\n'); };
  SqlText statement{.sql = std::string(absl::StripTrailingAsciiWhitespace(stripped)),
                    .line = line_ + lines(taken.substr(0, taken.size() - stripped.size()))};
  line_ += lines(taken);
  begin_ += size;
  scanned_ = std::max(scanned_, begin_);
  return statement;
}

void SqlSplitter::DropBlank() {
  const absl::string_view rest = absl::string_view(text_).substr(begin_);
  const absl::string_view stripped = absl::StripLeadingAsciiWhitespace(rest);
  const bool may_be_comment = absl::StartsWith(stripped, "-") || absl::StartsWith(stripped, "/");
  if (stripped.empty() || (may_be_comment && IsBlank(stripped))) Take(rest.size());
}

}  // namespace holdfast::client
