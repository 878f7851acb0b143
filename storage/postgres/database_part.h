// The part of a cluster that lies in one of its databases.
//
// The number of databases is fixed when the cluster is made. Shard s lies in database s modulo their number, and so do
// all rows of its objects. The executors of a node are dealt out alike, so each executor works in one database: nothing
// is ever committed to two of them in one transaction. In each database a node is a member of its own, with writers,
// leases and a map of the shards of that database.

#ifndef HOLDFAST_STORAGE_POSTGRES_DATABASE_PART_H_
#define HOLDFAST_STORAGE_POSTGRES_DATABASE_PART_H_

#include <cstdint>
#include <vector>

#include "storage/store/object_id.h"

namespace holdfast::storage::postgres {

// The most databases of a cluster.
inline constexpr uint32_t kDatabasesMax = 16;
// Numbers of writers differ in all databases of a cluster, since the runs of objects and the commit logs have them,
// too: those of a database begin behind this many for each database before it. As an int4 the highest is not negative.
inline constexpr int64_t kWritersOfDatabase = int64_t{1} << 27;
static_assert(kDatabasesMax * kWritersOfDatabase <= int64_t{1} << 31);

struct DatabasePart {
  uint32_t database = 0;   // below `databases`
  uint32_t databases = 1;  // kDatabasesMax at most

  bool Has(ShardId shard) const { return static_cast<uint32_t>(shard) % databases == database; }
  // Returns the executor of a shard of this database, counted among those that work in it.
  int32_t LaneOf(ShardId shard, int32_t lanes) const {
    return static_cast<int32_t>(static_cast<uint32_t>(shard) / databases) % lanes;
  }
  // Returns the shards of this database, in order.
  std::vector<ShardId> Shards() const {
    std::vector<ShardId> shards;
    for (uint32_t shard = database; shard < kShardCount; shard += databases) shards.push_back(ShardId(shard));
    return shards;
  }
  bool operator==(const DatabasePart&) const = default;
};

// Returns the database of a writer.
constexpr uint32_t DatabaseOfWriter(int64_t writer) { return static_cast<uint32_t>(writer / kWritersOfDatabase); }

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_DATABASE_PART_H_
