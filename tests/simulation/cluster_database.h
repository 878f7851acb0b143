// The database of a simulated cluster: the tables of storage/postgres/schema.h, and what each statement of
// storage/postgres does to them, by its name. The text of a statement is not read; tests on PostgreSQL check that it
// does the same.
//
// After a fail-over the server that was replaced runs on. It takes statements, and shows what it has; but it never
// acknowledges a write, since no standby has it.
//
// Each rule of the statements can be left out (Broken), to see that it is needed.

#ifndef HOLDFAST_TESTS_SIMULATION_CLUSTER_DATABASE_H_
#define HOLDFAST_TESTS_SIMULATION_CLUSTER_DATABASE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/store/memory_store.h"
#include "storage/store/object_id.h"
#include "tests/simulation/cluster_broken.h"

namespace holdfast::simulation {

// A statement that a connection carries.
struct Command {
  std::string name;
  std::vector<std::optional<std::string>> params;  // in PostgreSQL's binary format
};

class DatabaseServer {
 public:
  explicit DatabaseServer(ClusterBroken broken);
  // A standby that has all of the other one, and is promoted.
  explicit DatabaseServer(const DatabaseServer& other);

  // The state that the server keeps for a connection: the snapshot of a transaction that reads.
  struct Session {
    std::map<storage::FamilyId, std::unique_ptr<storage::Cursor>> snapshot;
  };
  // Carries the statements out as one transaction.
  storage::postgres::TripResult Execute(const std::vector<Command>& commands, Session* session);
  // Returns whether one of the statements writes.
  bool Writes(const std::vector<Command>& commands) const;

  // Microseconds since the epoch, for the statement that asks for them.
  void set_clock(int64_t micros) { clock_us_ = micros; }
  bool replaced() const { return replaced_; }
  void Replace() { replaced_ = true; }

 private:
  struct WriterRow {
    int64_t lane;
    int64_t epoch;
    int64_t batch;
    int64_t beat;
    std::optional<std::string> owner;
    int64_t state;
    std::string node;
    std::string address;
    int64_t lease_ms;
  };
  struct ShardRow {
    std::optional<int64_t> writer;
    int64_t epoch = 0;
  };
  // The transaction under way.
  struct Transaction;

  // Returns the rows of one statement; nothing if it fails as a division by zero does.
  std::optional<storage::postgres::Rows> Run(const Command& command, Transaction* transaction);
  std::optional<storage::postgres::Rows> Fence(const Command& command, Transaction* transaction);
  std::optional<storage::postgres::Rows> Claim(const Command& command, Transaction* transaction);
  storage::postgres::Rows Resolve(const Command& command);
  storage::postgres::Rows Beat(const Command& command);
  storage::postgres::Rows MakeWriters(const Command& command);
  void MoveShards(const Command& command);
  int64_t Unfolded(const Command& command);
  storage::postgres::Rows Page(const Command& command, Session* session);
  // Adds the writes of a statement to those of the transaction.
  static void AddRows(const Command& command, Transaction* transaction);
  void CommitRows(Transaction* transaction);
  bool HasOwner(std::optional<int64_t> writer) const;

  const ClusterBroken broken_;
  std::map<int64_t, WriterRow> writers_;
  int64_t next_writer_ = 1;
  std::string mark_;
  std::array<ShardRow, storage::kShardCount> shards_;
  std::map<std::pair<int64_t, int64_t>, std::string> log_;  // by writer and batch
  storage::MemoryStore rows_;
  int64_t clock_us_ = 0;
  bool replaced_ = false;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CLUSTER_DATABASE_H_
