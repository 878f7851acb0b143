// Reads of rows, on connections of their own: a bounded number, which all threads share.
//
// A read that finds its connection lost, or all connections taken, tries again until read_timeout. Then it fails with
// UNAVAILABLE; it has changed nothing, and the same read may succeed later.
//
// A server that was replaced and runs on, since nothing has fenced it, answers reads as well as the one that takes the
// writes. What it lacks is what was committed since. So each read asks, in the same trip, for the row of a writer of
// this process (ReaderOptions::known), and a server that does not have it as far as it was acknowledged is not read
// from: the connection is dropped, and the next one begins with another host of the conninfo. Such a server may still
// be asked before this process has committed anything to its successor. What is read then is not too old: nobody but
// this process has changed what it owns. If somebody has taken it over meanwhile, the lease has ended, and nothing is
// told to clients.
//
// A read of an object asks in the same way who owns its shard (ReaderOptions::shard_writer). A server that is not
// replaced and names another owner is right: the shard has gone, and the read fails with NotOwner().
//
// Threading: any thread. Blocking: never on an executor.

#ifndef HOLDFAST_STORAGE_POSTGRES_READER_H_
#define HOLDFAST_STORAGE_POSTGRES_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
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
#include "storage/postgres/writer.h"
#include "storage/store/key_codec.h"

namespace holdfast::storage::postgres {

struct ReaderOptions {
  SessionOptions session;
  // Connections for single reads, and those that cursors may hold for as long as they live.
  int connections_max = 4;
  int cursor_connections_max = 8;
  // Returns how far a server must have the row of a writer: one whose commits follow on all else that reads depend on.
  // Any thread. Null: every server that takes writes is read from.
  std::function<WriterMark()> known = nullptr;
  // Returns the writer that is to own this shard, by the map of shards (hf_shard); nothing if that is not to be asked.
  // Any thread. Null: it never is.
  std::function<std::optional<int64_t>(int16_t shard)> shard_writer = nullptr;
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
    // Ends the connection.
    void Drop() { connection_ = nullptr; }

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

  // Returns the first rows of the catalog for objects of a shard, from a key on. The shard must be this process's, as
  // for the objects themselves.
  absl::StatusOr<RowPage> ReadCatalogPage(int16_t shard, absl::string_view from, PageLimits limits);

  // Runs a read with a connection, again and again while that fails and may succeed. `shard` is that of the object
  // which is read, if it is one. The rows of the check come before those of the read.
  absl::StatusOr<TripResult> Try(absl::FunctionRef<void(Connection*)> add, std::optional<int16_t> shard = std::nullopt);
  // Waits for a connection of those that cursors may hold, and begins a transaction on it that reads from one snapshot.
  absl::StatusOr<Lease> BeginSnapshot(const RowSpace& space);

  // Adds the statement that reads a page; TakePage makes the page of its rows.
  static void AddPage(const RowSpace& space, const KeyRange& rows, bool reverse, PageLimits limits,
                      Connection* connection);
  static RowPage TakePage(const Rows& rows, PageLimits limits);
  Deadline ReadDeadline() const;
  // The servers that were not read from, since they were replaced.
  int64_t replaced() const { return replaced_.load(std::memory_order_relaxed); }

 private:
  absl::StatusOr<std::pair<Lease, TripResult>> TryWith(bool cursor, absl::FunctionRef<void(Connection*)> add,
                                                       std::optional<int16_t> shard);
  // Adds the question whether the server is to be read from, if there is one. Returns whether it asks for the shard.
  bool AddCheck(std::optional<int16_t> shard, Connection* connection) const;
  static std::optional<int16_t> ShardToCheck(const RowSpace& space) {
    return space.of_one_object() ? std::optional(space.ShardOf({})) : std::nullopt;
  }
  absl::StatusOr<Lease> Acquire(bool cursor, Deadline deadline);
  // The server of this connection was replaced: it, and others that may lead there, are not used again.
  void Forget(Lease* lease);
  void GiveBack(bool cursor, std::unique_ptr<Connection> connection);

  const ReaderOptions options_;
  std::atomic<size_t> first_host_ = 0;
  std::atomic<int64_t> replaced_ = 0;

  Mutex mutex_;
  CondVar given_back_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
  int taken_by_cursors_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_READER_H_
