// A store in a PostgreSQL database, which outlives this machine, and which several processes share: the members of a
// cluster (cluster_map.h). Over it a LoggedStore commits to a log for each executor in the same database, and writes
// rows about once a second (table_commit_logs.h).
//
// This store commits rows at once, through one writer of the member (writer.h), whose row in the database fences it:
// while this process is not the owner of its writers, none of its commits has an effect. Reads of the memory tier are
// answered by a cache of rows (row_cache.h), all others on connections of their own.
//
// Objects have no families of their own here: a table holds millions of objects, and a family would be a table. All
// objects are packed, CreateFamily fails with UNIMPLEMENTED, and the server's bound on families is to be 0. The packed
// family has no order over objects (row_key.h): a cursor at its location without a prefix sees the keys of that
// location alone, which no object has.
//
// A commit that fails with anything but NotOwner() ends the process, as with every store; but what the database can't
// do now is tried again until outage_max. The backups are those of the database.
//
// Threading: any thread. Everything but reads of the memory tier blocks.

#ifndef HOLDFAST_STORAGE_POSTGRES_POSTGRES_STORE_H_
#define HOLDFAST_STORAGE_POSTGRES_POSTGRES_STORE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/log/commit_logs.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/database_part.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/membership.h"
#include "storage/postgres/schema.h"
#include "storage/postgres/writer.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct PostgresOptions {
  // As libpq takes it. Passwords are better kept in a passfile.
  std::string conninfo;
  // Which of the databases of the cluster this is (databases.h).
  postgres::DatabasePart part = {};
  // The name of this node and where it serves, for the messages of others.
  std::string node = "holdfastd";
  std::string address;
  // A number that no other process has; the same in all databases.
  std::string owner;
  // Executors that work in this database.
  int executors = 1;
  absl::Duration lease = absl::Seconds(5);
  absl::Duration commit_timeout = absl::Seconds(3);
  absl::Duration read_timeout = absl::Seconds(10);
  absl::Duration outage_max = absl::Seconds(60);
  int read_connections_max = 4;
  int cursor_connections_max = 8;
  size_t row_cache_bytes = 256 << 20;
  // Called at most once, on any thread, when this process has lost a writer while it did not commit.
  std::function<void(const absl::Status&)> on_failure = nullptr;
  // Other nodes may join. Without it the process is alone.
  bool joins = false;
  // A text that all nodes of a cluster have in common, such as a hash of its secret, so that no node of another cluster
  // joins; empty: none. It changes while nobody is a member.
  std::string cluster_mark = "";
  // The most time between two looks at the map of the cluster.
  absl::Duration look_gap_max = absl::Seconds(1);
  // How far the wall clock may be from that of the database at the start. The nodes of a cluster have one time then.
  absl::Duration clock_apart_max = absl::Seconds(10);
  std::function<absl::Time()> wall_clock = absl::Now;
  // For tests.
  postgres::Driver* driver = postgres::LibpqDriver();
  bool unsafe_settings = false;
  // For tests: commits whoever owns the writers.
  bool fence_off = false;
  std::function<absl::Duration()> boot_time = postgres::BootTime;
  std::function<void(postgres::WriterOptions::Step)> on_step = nullptr;
};

class PostgresStore : public Store {
 public:
  // How long ago the last write to a row of any of this process's writers that was acknowledged was sent. The lease is
  // the process's: another one takes its writers all at once, and only after none of their rows has changed for the
  // whole lease. So the newest of these writes counts, whatever the other writers do. HoldsLease() is whether this is
  // less than the lease.
  virtual absl::Duration LeaseAge() const = 0;
  // The commits whose outcome had to be found out.
  virtual int64_t ResolvedCommits() const = 0;
  // Returns commit logs in the database, for a LoggedStore over this store: each executor's is appended to by its
  // writer. They must end before the store.
  virtual std::unique_ptr<CommitLogs> NewCommitLogs() = 0;
  // The number of the first log; those of the other executors follow it.
  virtual uint32_t first_log() const = 0;
  // For one thread.
  virtual postgres::Membership& membership() = 0;
  // Has seen the members that were in the way at the start.
  virtual postgres::SilenceWatch& silence() = 0;
  // From now on objects are read only from a server in whose map their shard is this member's.
  virtual void ReadOwnShards() = 0;
  // Calls `visit` with each record of the catalog for an object of a shard that is this member's, and that nobody
  // writes to meanwhile. Blocking. Errors: NotOwner(), and those of reads.
  virtual absl::Status ReadCatalog(ShardId shard,
                                   absl::FunctionRef<void(absl::string_view key, absl::string_view value)> visit) = 0;
  // Drops what is in memory of a shard, which comes or goes.
  virtual void Forget(ShardId shard) = 0;
};

// Opens the store of a cluster whose tables InitDatabases (databases.h) has made, as a new member. Blocks for as long
// as the lease of a member that is gone without a word and is in the way; not for one that `seen` has seen silent.
// Errors: FAILED_PRECONDITION if the database does not fit, or another process is alive that does not let this one in;
// UNAVAILABLE if it can't be reached.
absl::StatusOr<std::unique_ptr<PostgresStore>> OpenPostgresStore(
    const PostgresOptions& options, std::optional<postgres::SilenceWatch> seen = std::nullopt);

// Blocks as OpenPostgresStore does, and opens nothing. Returns what it has seen. Errors: the same.
absl::StatusOr<postgres::SilenceWatch> AwaitSilence(const PostgresOptions& options);

// Takes over the writers of a member that is silent. A LoggedStore over the store writes its logs back when it is
// opened; then its shards may be given away. Errors: ABORTED if the member is alive, or was taken over.
absl::StatusOr<std::unique_ptr<PostgresStore>> RecoverPostgresStore(const PostgresOptions& options,
                                                                    const postgres::Member& dead);

namespace postgres {
SessionOptions SessionOf(const PostgresOptions& options);
}  // namespace postgres

// Returns what is wrong with a conninfo, or OK; connects to nothing.
absl::Status CheckPostgresConninfo(const std::string& conninfo);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_POSTGRES_POSTGRES_STORE_H_
