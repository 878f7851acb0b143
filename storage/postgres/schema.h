// The tables of a cluster in its database: they are made once, and checked whenever a node starts.
//
//   hf_meta    the version of this format, the number of shards, and the cluster's id
//   hf_writer  a row for each writer of a process: one for each executor, by its number (lane), and one for all else
//              (lane -1). It is the fence of all that the writer commits (writer.h). Numbers of writers come from
//              hf_writer_id, and none is used twice.
//   hf_shard   which writer owns a shard (cluster_map.h)
//   hf_entry   the entries of the store (row_key.h)
//   hf_log     batches that are not in hf_entry yet
//
// The tables lie in the first schema of the connection's search_path, so a conninfo with
// options='-csearch_path=NAME' puts several clusters into one database.

#ifndef HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_
#define HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/driver.h"

namespace holdfast::storage::postgres {

inline constexpr int kSchemaVersion = 2;

struct SessionOptions {
  std::string conninfo;
  // For tests alone: the server need not be one that keeps what it acknowledges.
  bool unsafe_settings = false;
  absl::Duration read_timeout = absl::Seconds(10);
  // The host of the conninfo that is tried first, as Connection::Open takes it.
  size_t first_host = 0;
  Driver* driver = LibpqDriver();
};

enum class SessionKind {
  kWriter,  // its statements are never ended by time limits of the server
  kReader,
};

// Opens a connection whose settings are those that the statements here need, and checks that the server keeps what it
// acknowledges. The plans of all statements are fixed: an index, and no other way. Blocking. Errors: UNAVAILABLE if
// there is no connection; FAILED_PRECONDITION if the server is a standby, or its settings may lose a commit.
absl::StatusOr<std::unique_ptr<Connection>> OpenSession(const SessionOptions& options, SessionKind kind);

// Adds a write to a trip, which returns a row. What a trip with it shows is of the server that takes the writes: one
// that was replaced can't commit.
void AddSyncedWrite(Connection* connection);

// Makes the tables if there are none, in one transaction; several processes may do so at once. Blocking. Errors:
// FAILED_PRECONDITION if there are tables of a version that this server does not know, or of another number of shards;
// those of OpenSession.
absl::Status InitCluster(const SessionOptions& options);

// Errors: FAILED_PRECONDITION if the database has no tables of a cluster, or others than this server's.
absl::Status CheckSchema(Connection* connection, Deadline deadline);

// Errors: FAILED_PRECONDITION if there is a pooler between that hands a session's transactions to several servers.
// Such a pooler would spread what a session prepares and sets.
absl::Status CheckPooling(const SessionOptions& options);

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_
