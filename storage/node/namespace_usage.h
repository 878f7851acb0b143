// The objects that each namespace with a quota has, and their bytes, as the catalog has them.
//
// A server alone counts its catalog at the start, some microseconds for an object; from then on each change of a
// catalog record is counted. The size in the catalog may be off by an eighth, or by 4 KiB where that is more, as
// ListObjects says. Executors check and count by themselves, so a quota may be passed by a turn of each of the other
// executors.
//
// A node of a cluster counts by shard. Its own shards it counts itself: from the catalog when one comes (Gain), and
// with each change. Of the others it knows what their nodes have told last (Hear). A shard keeps its numbers when it
// goes, so that at any time each shard is counted once. The epoch of a shard, which grows with each move, says whose
// word is the newest.
//
// Nobody here knows what other nodes make between two tellings. So a node lets a namespace grow, between one round of
// tellings and the next (EndRound), by its part of the room that was left at the former: an n-th of it at each of n
// nodes, rounded up. A first turn of a round may take all of the room, so that a quota can be filled by large turns,
// too. Until the first round a node acts as one of as many nodes as there are shards. docs/cluster.md says by how much
// a quota may be passed.
//
// Bounds: a namespace takes some 100 bytes, and in a cluster as much again for each shard in which it has objects; it
// has at least one object there. Threading: any thread.

#ifndef HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_
#define HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class NamespaceUsage {
 public:
  // 0: there is no quota.
  struct Quota {
    int64_t objects_max = 0;
    int64_t bytes_max = 0;
  };
  struct Usage {
    int64_t objects = 0;
    int64_t bytes = 0;

    bool operator==(const Usage&) const = default;
  };
  // The quota of "" is for each namespace that no other is for.
  using Quotas = absl::flat_hash_map<std::string, Quota>;

  // `run`: a number of this process among the nodes of its cluster, not 0. 0: the server is alone, with all shards.
  explicit NamespaceUsage(Quotas quotas, uint64_t run = 0);
  NamespaceUsage(const NamespaceUsage&) = delete;
  NamespaceUsage& operator=(const NamespaceUsage&) = delete;

  // Counts the catalog; a garbled record counts as an object without bytes. Blocking; before all else. Errors: those of
  // the store, but damage only ends the count where it is.
  absl::Status Count(Store* store);

  enum class Reached { kNo, kObjects, kBytes };
  struct Verdict {
    Reached reached = Reached::kNo;
    // There is room, but this node has given its part of it until the next round.
    bool until_next_round = false;
  };
  // Returns the quota that a turn would pass that makes a new object, or not, and adds so many bytes.
  Verdict Check(absl::string_view ns, bool new_object, int64_t more_bytes) const;
  // Counts a change of the catalog, of an object that is here.
  void Add(const ObjectKey& object, int64_t objects, int64_t bytes);
  // Returns what is known of a namespace that has a quota.
  Usage Of(absl::string_view ns) const;

  // --- The shards of a node.

  using Counts = absl::flat_hash_map<std::string, Usage>;
  // Counts a record of the catalog, as Count does.
  static void CountRecord(absl::string_view key, absl::string_view value, Counts* counts);
  // A shard comes, with these objects; nobody changes them before this returns.
  void Gain(ShardId shard, int64_t epoch, const Counts& counts);
  // A shard goes; nobody changes its objects here any more.
  void Lose(ShardId shard);

  // --- What nodes tell each other.

  // The changes in a shard of the node that tells.
  struct ShardNews {
    ShardId shard = ShardId(0);
    int64_t epoch = 0;
    bool whole = false;  // it has no other namespaces
    std::vector<std::pair<std::string, Usage>> namespaces;
  };
  struct News {
    uint64_t run = 0;
    uint64_t version = 0;  // the news have all until then
    std::vector<ShardNews> shards;
    size_t next = 0;  // the shard with which the next part begins; 0: there is none
  };
  // Returns what has changed since a version that this process, if `run` is its own, has told, from the shard `first`
  // on. A part ends behind the shard with which it has kNewsMax namespaces. A version is told once the last part of the
  // news since the one before is: that of the first part.
  static constexpr size_t kNewsMax = 10'000;
  News Tell(uint64_t run, uint64_t since, size_t first = 0) const;
  // Takes the news of a shard of another node. The shard's number is below kShardCount.
  void Hear(const ShardNews& news);
  // All others that have shards have told what they have: this node is one of so many.
  void EndRound(size_t nodes);
  // Sets the number of nodes that take shards. A part is smaller at once where they are more than at the end of the
  // last round: a node that has come may have its part by now.
  void SetTakers(size_t nodes);

 private:
  struct Entry {
    Usage usage;
    uint64_t version = 0;  // of its last change
  };
  struct Shard {
    bool here = false;
    int64_t epoch = 0;
    uint64_t version = 0;     // of its last change
    uint64_t whole_from = 0;  // of the last change by which a namespace went: who knows less is told all
    absl::flat_hash_map<std::string, Entry> namespaces;
  };
  struct Total {
    Usage usage;
    Usage added;         // of which the node itself has added so much in the round
    uint64_t round = 0;  // of `added`
  };

  // Returns the quota of a namespace; null if it has none.
  const Quota* QuotaOf(absl::string_view ns) const;
  // Changes what a shard has of a namespace. Returns the change, which takes all that is left with the last object.
  Usage Change(ShardId shard, absl::string_view ns, Usage by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ChangeTotal(absl::string_view ns, Usage by, bool added) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts other namespaces into a shard in place of those that it has.
  void Clear(Shard* shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Set(ShardId shard, absl::string_view ns, Usage usage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Quotas quotas_;
  const uint64_t run_;

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Total> totals_ ABSL_GUARDED_BY(mutex_);
  std::array<Shard, kShardCount> shards_ ABSL_GUARDED_BY(mutex_);  // empty if the server is alone
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t round_ ABSL_GUARDED_BY(mutex_) = 0;
  // The nodes among which the room is divided: the larger of the two numbers.
  size_t owners_ ABSL_GUARDED_BY(mutex_);
  size_t takers_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_
