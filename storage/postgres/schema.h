// The tables of a cluster in one of its databases: they are made once, and checked whenever a node starts.
//
//   hf_meta    the version of this format, the number of shards, and the cluster's id; where the cluster has several
//              databases, their number and which of them this is
//   hf_writer  a row for each writer of a process: one for each executor, by its number (lane), and one for all else
//              (lane -1). It is the fence of all that the writer commits (writer.h). Numbers of writers come from
//              hf_writer_id, and none is used twice, nor in two databases of a cluster.
//   hf_shard   which writer owns a shard (cluster_map.h), for the shards that lie in this database
//   hf_entry   the entries of the store (row_key.h)
//   hf_log     batches that are not in hf_entry yet
//
// The tables lie in the first schema of the connection's search_path, so a conninfo with
// options='-csearch_path=NAME' puts several clusters into one database.

#ifndef HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_
#define HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/database_part.h"
#include "storage/postgres/driver.h"

namespace holdfast::storage::postgres {

// The version of the tables of a cluster with one database, and of those of one with several.
inline constexpr int kSchemaVersion = 2;
inline constexpr int kSchemaVersionOfSeveral = 3;

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

// Does the same for a reader at the start, where a database that is just starting, too, is worth waiting for: tries
// again for the read timeout while there is no connection.
absl::StatusOr<std::unique_ptr<Connection>> OpenFirstSession(const SessionOptions& options);

// Adds a write to a trip, which returns a row. What a trip with it shows is of the server that takes the writes: one
// that was replaced can't commit.
void AddSyncedWrite(Connection* connection);

// The cluster of a database, as its tables say.
struct ClusterMark {
  std::string cluster;  // a random id, the same in all databases of the cluster
  DatabasePart part;
};

// Makes the tables if there are none, in one transaction; several processes may do so at once. An empty `cluster`
// stands for a new id. Returns the mark that the tables have now. Blocking. Errors: FAILED_PRECONDITION if there are
// tables of a version that this server does not know, or of another number of shards; those of OpenSession.
absl::StatusOr<ClusterMark> InitDatabase(const SessionOptions& options, const DatabasePart& part,
                                         const std::string& cluster);

// Returns the mark of a database, or nothing if it has no tables. Errors: FAILED_PRECONDITION if it has tables that
// this server does not know.
absl::StatusOr<std::optional<ClusterMark>> ReadMark(Connection* connection, Deadline deadline);

// Returns whether a process has been a member of the cluster of these tables.
absl::StatusOr<bool> IsUsed(Connection* connection, Deadline deadline);

// Returns the mark of a database that is to be this part of a cluster. Errors: FAILED_PRECONDITION if it has no tables,
// others than this server's, or those of another part.
absl::StatusOr<ClusterMark> CheckSchema(Connection* connection, const DatabasePart& part, Deadline deadline);
absl::Status CheckPart(const ClusterMark& mark, const DatabasePart& part);

// Errors: FAILED_PRECONDITION if there is a pooler between that hands a session's transactions to several servers.
// Such a pooler would spread what a session prepares and sets.
absl::Status CheckPooling(const SessionOptions& options);

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_SCHEMA_H_
