// Collects the statements of a script from BEGIN to COMMIT as one text, which is how the server takes them (sql.proto).
//
// ROLLBACK drops the collected text. PRAGMA foreign_keys before BEGIN is kept for the texts that follow, since on the
// server it holds only to the end of its text. A dump of sqlite3's shell is therefore one commit, made with foreign
// keys off. Single-threaded. A transaction has at most kTextBytesMax.

#ifndef HOLDFAST_CLIENT_SQL_TRANSACTION_H_
#define HOLDFAST_CLIENT_SQL_TRANSACTION_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

class SqlTransaction {
 public:
  // The server's bound for a request, less room for its other fields.
  static constexpr size_t kTextBytesMax = (4 << 20) - (64 << 10);

  // The result of Add(): the caller runs the statement by itself, nothing yet, or the collected text.
  enum class Run { kStatement, kNothing, kCollected };

  // Adds a statement as SqlSplitter gives it. INVALID_ARGUMENT if it is not allowed here; then nothing is collected.
  absl::StatusOr<Run> Add(absl::string_view sql);
  // Returns the collected text, from BEGIN to COMMIT, and forgets it.
  std::string Take();
  // Returns whether a transaction is open: there was a BEGIN, and neither its COMMIT nor a ROLLBACK yet.
  bool open() const { return open_; }

 private:
  bool open_ = false;
  bool foreign_keys_off_ = false;
  std::string text_;
};

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_SQL_TRANSACTION_H_
