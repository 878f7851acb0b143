#include "client/sql_transaction.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace holdfast::client {
namespace {

// Returns the words of a statement in capitals, up to five: no statement that matters here has more.
std::vector<std::string> WordsOf(absl::string_view sql) {
  std::vector<std::string> words;
  const auto is_separator = absl::ByAnyChar(" \t\r\n;=()");
  for (absl::string_view word : absl::StrSplit(sql.substr(0, 200), is_separator, absl::SkipEmpty())) {
    words.push_back(absl::AsciiStrToUpper(word));
    if (words.size() == 5) break;
  }
  return words;
}

// Returns the value in "PRAGMA foreign_keys = OFF" and the like; nullopt for another statement.
std::optional<bool> ForeignKeysOf(const std::vector<std::string>& words) {
  if (words.size() != 3 || words[0] != "PRAGMA" || words[1] != "FOREIGN_KEYS") return std::nullopt;
  for (const char* on : {"ON", "YES", "TRUE", "1"}) {
    if (words[2] == on) return true;
  }
  for (const char* off : {"OFF", "NO", "FALSE", "0"}) {
    if (words[2] == off) return false;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<SqlTransaction::Run> SqlTransaction::Add(absl::string_view sql) {
  const std::vector<std::string> words = WordsOf(sql);
  const std::string first = words.empty() ? "" : words[0];
  const auto add = [&] {
    absl::StrAppend(&text_, sql, absl::EndsWith(sql, ";") ? "\n" : ";\n");
    return text_.size() <= kTextBytesMax;
  };
  if (open_) {
    if (first == "ROLLBACK" && words.size() <= 2) {
      Take();
      return Run::kNothing;
    }
    if (!add()) {
      Take();
      return absl::InvalidArgumentError(
          "the transaction is over 4 MiB; sqlite3 makes a file of it, which .import puts in the place of the database");
    }
    const bool ends = (first == "COMMIT" || first == "END") && words.size() <= 2;
    return ends ? Run::kCollected : Run::kNothing;
  }
  if (const std::optional<bool> on = ForeignKeysOf(words)) {
    foreign_keys_off_ = !*on;
    return Run::kNothing;
  }
  if (first == "BEGIN") {
    if (foreign_keys_off_) text_ = "PRAGMA foreign_keys=OFF;\n";
    open_ = true;
    add();
    return Run::kNothing;
  }
  if (!foreign_keys_off_) return Run::kStatement;
  return absl::InvalidArgumentError("foreign keys can be off from BEGIN to COMMIT only");
}

std::string SqlTransaction::Take() {
  open_ = false;
  return std::exchange(text_, "");
}

}  // namespace holdfast::client
