// Statements of a script between BEGIN and COMMIT, as the one text in which the server takes them (sql.proto).
//
// ROLLBACK drops what was collected. PRAGMA foreign_keys before BEGIN is kept for the texts that follow, since to the
// server it holds for a text and no longer; so a dump of sqlite3's shell is one commit, made with foreign keys off.
// Single-threaded. Bound: kTextBytesMax of a transaction.

#ifndef HOLDFAST_CLIENT_SQL_TRANSACTION_H_
#define HOLDFAST_CLIENT_SQL_TRANSACTION_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

class SqlTransaction {
 public:
  // A request of the server's bound, less what else is in it.
  static constexpr size_t kTextBytesMax = (4 << 20) - (64 << 10);

  // What is to be run after a statement was added: the statement by itself, nothing yet, or all that was collected.
  enum class Run { kStatement, kNothing, kCollected };

  // A statement as SqlSplitter gives it. INVALID_ARGUMENT where it may not stand here; then nothing is collected.
  absl::StatusOr<Run> Add(absl::string_view sql);
  // The collected text, from BEGIN to COMMIT. Nothing is collected after that.
  std::string Take();
  // Whether there was a BEGIN without its COMMIT yet.
  bool open() const { return open_; }

 private:
  bool open_ = false;
  bool foreign_keys_off_ = false;
  std::string text_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_TRANSACTION_H_
