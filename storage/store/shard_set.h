// A set of shards.

#ifndef HOLDFAST_STORAGE_STORE_SHARD_SET_H_
#define HOLDFAST_STORAGE_STORE_SHARD_SET_H_

#include <bitset>

#include "storage/store/object_id.h"

namespace holdfast::storage {

using ShardSet = std::bitset<kShardCount>;
inline bool Has(const ShardSet& shards, ShardId shard) { return shards[static_cast<size_t>(shard)]; }

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_SHARD_SET_H_
