#include "storage/sql/statement_cache.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace holdfast::storage::sql {

void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

std::optional<PreparedStatement> StatementCache::Take(absl::string_view text) {
  if (text.size() > kTextBytesMax) return std::nullopt;
  auto found = by_text_.find(text);
  if (found == by_text_.end()) return std::nullopt;
  const auto entry = found->second;
  PreparedStatement prepared = std::move(entry->prepared);
  prepared.text = text;
  by_text_.erase(found);
  statements_.erase(entry);
  bytes_ -= prepared.bytes;
  return prepared;
}

void StatementCache::Keep(PreparedStatement prepared) {
  sqlite3_reset(prepared.statement.get());
  sqlite3_clear_bindings(prepared.statement.get());
  const absl::string_view text = prepared.text;
  // PRAGMA defer_foreign_keys takes effect when it is prepared, so a transaction must prepare its own.
  if (prepared.is_pragma || text.size() > kTextBytesMax || by_text_.contains(text)) return;
  if (prepared.bytes == 0) {
    prepared.bytes = static_cast<size_t>(
        std::max(1, sqlite3_stmt_status(prepared.statement.get(), SQLITE_STMTSTATUS_MEMUSED, /*resetFlg=*/0)));
  }
  if (prepared.bytes > kBytesMax) return;
  while (!statements_.empty() && (statements_.size() == kStatementsMax || bytes_ + prepared.bytes > kBytesMax)) {
    DropOldest();
  }
  bytes_ += prepared.bytes;
  statements_.push_front({std::string(text), std::move(prepared)});
  statements_.front().prepared.text = {};
  statements_.front().prepared.tail = {};
  by_text_.emplace(statements_.front().text, statements_.begin());
}

void StatementCache::DropOldest() {
  by_text_.erase(statements_.back().text);
  bytes_ -= statements_.back().prepared.bytes;
  statements_.pop_back();
}

void StatementCache::Clear() {
  while (!statements_.empty()) DropOldest();
}

}  // namespace holdfast::storage::sql
