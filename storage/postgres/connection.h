// A connection to PostgreSQL over libpq, whose every trip has a deadline.
//
// A trip sends any number of statements in one pipeline and waits for all of their results. The statements of a trip
// are one transaction, which commits at its end: all of them have an effect or none has. (In libpq's pipeline mode,
// statements up to a synchronization point are an implicit transaction; statements here never say BEGIN, but for the
// snapshots of a cursor.) Each statement is prepared at its first use.
//
// The meaning of a failure for a transaction that writes:
//   kRefused   the server has not got the statements, and never will.
//   kError     the server has refused a statement, and the transaction has no effect; `sqlstate` says why.
//   kUnknown   the connection was lost or the deadline has passed: the transaction may have happened, or may still
//              happen. The connection is then broken and is of no more use. Nothing is cancelled: a request to cancel
//              might arrive before, during or after the commit, and a commit that waits for a standby and is cancelled
//              reports success.
//
// Threading: one thread at a time. Blocking: never on an executor.

#ifndef HOLDFAST_STORAGE_POSTGRES_CONNECTION_H_
#define HOLDFAST_STORAGE_POSTGRES_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/postgres/params.h"

// libpq's own type, whose header only the .cc files include.
struct pg_result;

namespace holdfast::storage::postgres {

using Deadline = std::chrono::steady_clock::time_point;

// A statement by its text; `name` is its own among all statements of a connection.
struct Statement {
  std::string name;
  std::string text;
};

// The rows that a statement has returned, in binary form.
class Rows {
 public:
  explicit Rows(pg_result* result) : result_(result) {}

  int count() const;
  int columns() const;
  // The number of rows that an INSERT, UPDATE or DELETE has written.
  int64_t changed() const;
  bool IsNull(int row, int column) const;
  // Bytea or text; valid as long as the rows.
  absl::string_view Bytes(int row, int column) const;
  // Int2, int4 or int8.
  int64_t Int(int row, int column) const;
  bool Bool(int row, int column) const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

struct TripResult {
  enum class Kind { kOk, kRefused, kError, kUnknown };

  Kind kind = Kind::kOk;
  std::string sqlstate;  // of kError
  std::string message;
  // The server has warned of something: that a commit, which it reports as done, is not on the standby.
  bool warned = false;
  std::vector<Rows> rows;  // of kOk: for each statement

  bool ok() const { return kind == Kind::kOk; }
  // OK; DATA_LOSS if the server says that its data is corrupted; RESOURCE_EXHAUSTED if it has run out of disk, memory
  // or connections; INTERNAL for other errors of a statement; UNAVAILABLE for all others.
  absl::Status status() const;
};

class Connection {
 public:
  // Connects to a server as Connect does (connect.h). Errors: UNAVAILABLE with libpq's message, which has no password.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& conninfo, size_t first_host = 0);
  virtual ~Connection() = default;

  // Adds a statement to the next trip.
  void Add(const Statement& statement) { Add(statement, Params()); }
  virtual void Add(const Statement& statement, const Params& params) = 0;
  // Sends the statements that were added, if any were since Send, and waits for the results of the last trip.
  virtual TripResult Run(Deadline deadline) = 0;
  // Sends the statements that were added, and does not wait.
  virtual void Send() = 0;

  // Returns whether the connection can be used again: it is not broken, and no transaction is open.
  virtual bool usable() const = 0;
  // Returns the process that serves this connection, as the server or a pooler has told it.
  virtual int backend_pid() const = 0;
};

// Returns an error that says what is wrong with a conninfo, or OK.
absl::Status CheckConninfo(const std::string& conninfo);

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_CONNECTION_H_
