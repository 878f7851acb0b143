// Entries of packed objects in memory, by location: what an executor may read, since it must not wait for a server.
//
// The cache knows ranges of a location: each entry in such a range, and so that all other keys in it are absent. Reads
// add what they have found, and commits change it once they have ended. Locations of whole families are not cached.
//
// Invariants:
//   1. What the cache says was true after the last commit to the location that has ended, or is newer. A read that a
//      commit has overtaken adds nothing: it takes a ticket before it asks the server, and a commit to the location
//      makes its tickets worthless, at the beginning and at the end. (Tickets are for groups of locations.)
//   2. The changes of one commit to one location are seen together.
//   3. The cache holds rows of shards that this node owns. Forget(shard) drops those of a shard that goes.
//
// Bounds: bytes_max for all; location_bytes_max for a location, which is forgotten when it has more. The location that
// was not used for the longest time goes first.
//
// Threading: any thread. No method waits for a server.

#ifndef HOLDFAST_STORAGE_POSTGRES_ROW_CACHE_H_
#define HOLDFAST_STORAGE_POSTGRES_ROW_CACHE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/base/mutex.h"
#include "storage/store/key_codec.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::storage::postgres {

class RowCache {
 public:
  using Entries = absl::btree_map<std::string, std::string>;

  struct Options {
    size_t bytes_max = 256 << 20;
    size_t location_bytes_max = 1 << 20;
  };
  struct Ticket {
    uint64_t version = 0;
    bool valid = false;
  };

  explicit RowCache(const Options& options);
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // Returns kFound, kAbsent or kNeedsDisk.
  ReadResult Get(const Location& location, absl::string_view key, std::string* value);
  // Returns a cursor over the range, or null if the cache does not know all of it.
  std::unique_ptr<Cursor> NewCursor(const Location& location, const KeyRange& range);

  bool Knows(const Location& location, const KeyRange& range);

  // Called before a read of the location asks the server.
  Ticket BeginRead(const Location& location);
  // Adds what that read has found: `entries` are all that there are in `range`, in order.
  void Add(const Location& location, Ticket ticket, const KeyRange& range,
           absl::Span<const std::pair<std::string, std::string>> entries);

  // Called before a commit is sent, and when it has ended. `ok`: it has happened. If not, nobody can tell, and its
  // locations are forgotten.
  void BeginCommit(absl::Span<const KeyspaceWrites> writes);
  void EndCommit(absl::Span<const KeyspaceWrites> writes, bool ok);

  void Forget(ShardId shard);

  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t bytes_max() const { return options_.bytes_max; }
  uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kParts = 16;
  static constexpr size_t kGatesPerPart = 512;
  // The cost of the structures around an entry, a range or a location.
  static constexpr size_t kOverheadBytes = 96;

  struct Rows {
    // Copied on write while a cursor has them.
    std::shared_ptr<Entries> entries = std::make_shared<Entries>();
    std::vector<KeyRange> known;  // in order; none touches another
    size_t bytes = 0;
    std::list<Location>::iterator used;
  };
  // The worth of the tickets of a group of locations.
  struct Gate {
    uint64_t version = 0;
    int commits = 0;  // under way
  };
  // Locations are divided among parts, each with a lock and a share of the bytes.
  struct Part {
    Mutex mutex;
    absl::flat_hash_map<Location, Rows> rows ABSL_GUARDED_BY(mutex);
    std::list<Location> used ABSL_GUARDED_BY(mutex);  // the last one used first
    size_t bytes ABSL_GUARDED_BY(mutex) = 0;
    std::array<Gate, kGatesPerPart> gates ABSL_GUARDED_BY(mutex);
  };

  Part& PartOf(const Location& location) { return parts_[absl::HashOf(location) % kParts]; }
  static Gate& GateOf(Part& part, const Location& location) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex) {
    return part.gates[absl::HashOf(location) / kParts % kGatesPerPart];
  }
  // Returns the rows, which become the last ones used; null if there are none.
  Rows* Use(Part& part, const Location& location) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void Drop(Part& part, const Location& location) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  // Counts the bytes that the rows have now and not had `before`, and drops what is too much.
  void Account(Part& part, const Location& location, const Rows* rows, size_t before)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void Apply(Part& part, const Location& location, const WriteSet& writes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);

  static bool KnowsIn(const Rows& rows, const KeyRange& range);
  static void AddKnown(const KeyRange& range, Rows* rows);
  static Entries* Writable(Rows* rows);
  static void Put(absl::string_view key, absl::string_view value, Rows* rows);
  static void Remove(const KeyRange& range, Rows* rows);

  const Options options_;
  std::vector<Part> parts_;
  std::atomic<size_t> bytes_ = 0;
  std::atomic<uint64_t> hits_ = 0;
  std::atomic<uint64_t> misses_ = 0;
};

}  // namespace holdfast::storage::postgres

#endif  // HOLDFAST_STORAGE_POSTGRES_ROW_CACHE_H_
