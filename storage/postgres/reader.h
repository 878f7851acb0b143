// Reads of rows, on connections of their own: a bounded number, which all threads share.
//
// A read that finds its connection lost, or all connections taken, tries again until read_timeout. Then it fails with
// UNAVAILABLE; it has changed nothing, and the same read may succeed later.
//
// Threading: any thread. Blocking: never on an executor.

#ifndef HOLDFAST_STORAGE_POSTGRES_READER_H_
#define HOLDFAST_STORAGE_POSTGRES_READER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/base/mutex.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/row_key.h"
#include "storage/postgres/schema.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage::postgres {

struct ReaderOptions {
  SessionOptions session;
  // Connections for single reads, and those that cursors may hold for as long as they live.
  int connections_max = 4;
  int cursor_connections_max = 8;
};

// Some rows in a row.
struct RowPage {
  std::vector<std::pair<std::string, std::string>> rows;  // key of the row, value
  bool complete = false;                                  // there are no others in the range that was asked for
};

class Reader {
 public:
  // A connection that is not given to others while this lives.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : reader_(std::exchange(other.reader_, nullptr)),
          cursor_(other.cursor_),
          connection_(std::move(other.connection_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection* get() { return connection_.get(); }
    Connection* operator->() { return connection_.get(); }

   private:
    friend class Reader;
    Lease(Reader* reader, bool cursor, std::unique_ptr<Connection> connection)
        : reader_(reader), cursor_(cursor), connection_(std::move(connection)) {}

    Reader* reader_;
    bool cursor_;
    std::unique_ptr<Connection> connection_;
  };

  explicit Reader(const ReaderOptions& options) : options_(options) {}

  // Returns the value of a row; nothing if there is none.
  absl::StatusOr<std::optional<std::string>> Get(const RowSpace& space, absl::string_view key);
  // Returns the first rows in the range, or the last ones in descending order: at most rows_max, and as many as have
  // bytes_max in total, and one at least.
  struct PageLimits {
    int rows_max;
    int64_t bytes_max;
  };
  absl::StatusOr<RowPage> ReadPage(const RowSpace& space, const KeyRange& rows, PageLimits limits);

  // Runs a read with a connection, again and again while that fails and may succeed.
  absl::StatusOr<TripResult> Try(absl::FunctionRef<void(Connection*)> add);
  // Waits for a connection of those that cursors may hold.
  absl::StatusOr<Lease> LeaseForCursor() { return Acquire(/*cursor=*/true, ReadDeadline()); }

  // Adds the statement that reads a page; TakePage makes the page of its rows.
  static void AddPage(const RowSpace& space, const KeyRange& rows, bool reverse, PageLimits limits,
                      Connection* connection);
  static RowPage TakePage(const Rows& rows, PageLimits limits);
  Deadline ReadDeadline() const;

 private:
  absl::StatusOr<Lease> Acquire(bool cursor, Deadline deadline);
  void GiveBack(bool cursor, std::unique_ptr<Connection> connection);

  const ReaderOptions options_;

  Mutex mutex_;
  CondVar given_back_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
  int taken_by_cursors_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_READER_H_
