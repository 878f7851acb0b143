// The node's store. It holds families of ordered keys: a few belong to the node, and each other one to a single object.
// One commit, atomic and durable, may write to any number of families.
//
// The interface leaves room for a store on another machine: such a store commits without a thread of the caller, reads
// ahead when it is told what comes next, and refuses a node that it no longer takes for the owner.
//
// Servers run RocksDbStore or PostgresStore. MemoryStore is their reference model in tests and the store of
// simulations.

#ifndef HOLDFAST_STORAGE_STORE_STORE_H_
#define HOLDFAST_STORAGE_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/background.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

// Identifies an open family while the process lives; it is not stored.
enum class FamilyId : uint32_t {
  kNode = 0,      // the store's header
  kCatalog = 1,   // which objects exist
  kAlarms = 2,    // alarms by due time
  kPacked = 3,    // objects that have no family of their own, each under its prefix
  kRequests = 4,  // replies to requests with a request_id
  kFirstOwn = 5,
};

enum class ReadTier {
  kMemory,  // reads only memory; returns kNeedsDisk if that is not enough
  kDisk,    // may block
};

enum class ReadResult { kFound, kAbsent, kNeedsDisk, kError };

// Walks the keys of one location within a range, in either direction; keys lack the location's prefix. It sees the
// entries as they were when the cursor was made, even if the family is dropped meanwhile. One thread at a time; it must
// not outlive the store.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // Moves to the first entry in the range whose key is at or after `key`.
  virtual void Seek(absl::string_view key) = 0;
  // These two move from an entry.
  virtual void Next() = 0;
  virtual void Prev() = 0;
  // Returns kFound on an entry and kAbsent past either end of the range; kNeedsDisk and kError end the walk.
  virtual ReadResult state() const = 0;
  virtual absl::Status error() const = 0;
  // These two are valid on an entry, until the cursor moves.
  virtual absl::string_view key() const = 0;
  virtual absl::string_view value() const = 0;
};

// The place of a keyspace in the store: a family and a key prefix. The prefix is empty in a family of the keyspace's
// own.
struct Location {
  FamilyId family = FamilyId::kPacked;
  std::string prefix;

  // Returns the keys of the family that a range of the keyspace's keys stands for.
  KeyRange Under(const KeyRange& range) const {
    return {prefix + range.start, range.end.empty() ? PrefixEnd(prefix) : prefix + range.end};
  }
  bool operator==(const Location&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Location& location) {
    return H::combine(std::move(h), location.family, location.prefix);
  }
};

// Returns the location of all keys of a family.
inline Location WholeFamily(FamilyId family) { return {family, ""}; }

// The writes of one commit to one keyspace; the keys in the set lack the location's prefix.
struct KeyspaceWrites {
  const Location* location;
  WriteSet* writes;
};

// The error of a commit that the store refused, since this process is not the owner of the store, or not any more.
// UNAVAILABLE: the commit had no effect and will have none, and the owner may take the same writes.
absl::Status NotOwner(absl::string_view why);
bool IsNotOwner(const absl::Status& status);

// Told how a commit ended, and how long the store took for it.
using CommitDone = absl::AnyInvocable<void(const absl::Status& status, absl::Duration time)>;

struct OwnFamily {
  FamilyId id;
  std::string name;
};

// The contents of a store, and its work since it was opened. A number that a store does not know is 0.
struct StoreStats {
  uint64_t block_cache_bytes = 0;
  uint64_t block_cache_bytes_max = 0;
  uint64_t block_cache_hits = 0;
  uint64_t block_cache_misses = 0;
  uint64_t memtable_bytes = 0;
  uint64_t table_bytes = 0;               // of the tables on disk
  uint64_t pending_compaction_bytes = 0;  // that compactions have to rewrite
  uint64_t unfolded_bytes = 0;            // of writes in memory that are in a commit log only
  uint64_t unfolded_bytes_max = 0;
  uint64_t disk_free_bytes = 0;
  uint64_t disk_reserve_bytes = 0;
};

// Told how far long work over the tables of a store is. It returns whether the work is to go on.
struct TableProgress {
  uint64_t done = 0;
  uint64_t total = 0;
};
using TableWorkGoesOn = absl::FunctionRef<bool(const TableProgress& progress)>;

// A table that cannot be read whole.
struct DamagedTable {
  std::string table;
  std::string family;
  absl::Status damage;
};

// Any thread may call any method.
class Store {
 public:
  virtual ~Store() = default;

  // In these three, `key` and `range` lack the prefix of the location. A key is read at the location at which it was
  // written; a cursor may walk over a whole family too, at the location without a prefix, but over the packed family
  // only in a store that keeps the prefixes (storage/postgres does not). Keys are written at locations of which none
  // has a prefix that begins another's.
  //
  // Sets `*value` on kFound and `*error` on kError.
  virtual ReadResult Get(const Location& location, absl::string_view key, ReadTier tier, std::string* value,
                         absl::Status* error) = 0;
  virtual std::unique_ptr<Cursor> NewCursor(const Location& location, KeyRange range, ReadTier tier) = 0;

  // Says that keys in `range` are about to be read. A store whose reads have latency may fetch them in one trip, so
  // that the reads find them in memory. Cheap; does not wait, and changes no result.
  virtual void Prefetch(const Location& /*location*/, const KeyRange& /*range*/) {}

  // Commits all of the writes or none, and waits: on return they are durable. A keyspace appears at most once in a
  // commit. Commits that go on at the same time never name the same key; they may share one sync.
  //
  // Errors: NotOwner() if the store refused the commit. After any other error nobody can tell what is on disk: the
  // process must stop without another try.
  //
  // For a point that has a patch, the store may write the patch instead of the value. A patch that does not fit the
  // stored value, or finds none, leaves kDamagedValue (storage/store/patch.h).
  //
  // The sets stay as they are.
  virtual absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) = 0;

  // Begins the same commit and returns. `done` runs once, on the executor of `background` and after this call, with
  // the status that CommitSync would return; if that is OK, the store may have taken the contents of the sets by then.
  // Until then they stay as they are. This default runs CommitSync on `background`, which has one thread. A
  // store that needs no thread for a commit overrides it, and hands `done` over with background->Post.
  //
  // Order: an executor has one commit under way at a time. It ends where `done` begins, so `done` may begin the next;
  // the commits of an executor thus become durable in the order in which they begin. The commits of several executors
  // go on at the same time and become durable in any order.
  //
  // Lifetime: `writes`, everything that they point to, and `background` stay until `done` runs. If the executor ends
  // before that, they stay until WaitForCommits has returned and `background` has ended its work; `done` is then
  // destroyed and does not run.
  virtual void Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done);
  // Waits until every commit that Commit has begun has ended, and its `done` has been handed over; except those that
  // run on a Background, which ends its own work. Call it when the executors have ended, before the store is destroyed
  // and before anything that those commits name.
  virtual void WaitForCommits() {}

  // Returns the store through which the executor with this number commits, and which lives as long as this one. Reads
  // and all else are the same through both.
  virtual Store* ForExecutor(int /*number*/) { return this; }

  // Returns whether this process may tell clients what it has read, where that waits for no commit. A store that
  // another process may take over answers no from the moment at which that may have happened; a commit finds out by
  // itself. The answer counts for what was read before the call. Cheap.
  virtual bool HoldsLease() { return true; }

  // Returns whether only the reserve of the disk is left. Callers then refuse new writes with RESOURCE_EXHAUSTED;
  // reads, and writes that are under way, go on. Cheap; the answer is up to some 100 ms old.
  virtual bool DiskFull() { return false; }
  // Returns whether the store can't keep up, with its archive for example. Callers then refuse new writes as they do
  // those of an overloaded server. Cheap.
  virtual bool Overloaded() { return false; }

  // May take some milliseconds: never on an executor.
  virtual StoreStats Stats() { return {}; }

  // These two work through all tables while others read and write: on a thread of their own, for minutes or hours. Both
  // call `goes_on` often, and end soon with CANCELLED once it returns false.
  //
  // CompactTables rewrites all tables without what was overwritten or deleted; its progress is in families.
  virtual absl::Status CompactTables(TableWorkGoesOn /*goes_on*/) { return absl::OkStatus(); }
  // CheckTables reads every block of every table, past the caches and at most so many bytes in a second, and compares
  // it with its checksum; its progress is in bytes. The tables that are damaged are added to `*damaged`. A table that
  // is dropped meanwhile is passed over.
  virtual absl::Status CheckTables(uint64_t /*bytes_per_second*/, TableWorkGoesOn /*goes_on*/,
                                   std::vector<DamagedTable>* /*damaged*/) {
    return absl::OkStatus();
  }

  // These three handle the families of single objects. A new family is empty, and durable on return. A family must be
  // dropped only when no commit in progress or to come names it. Creating and dropping may take milliseconds: never on
  // an executor. CreateFamily returns RESOURCE_EXHAUSTED while the disk is full, and UNIMPLEMENTED in a store that has
  // no such families.
  virtual absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) = 0;
  virtual absl::Status DropFamily(FamilyId family) = 0;
  virtual std::vector<OwnFamily> ListOwnFamilies() = 0;

 protected:
  // Runs `commit` on `background`, as Commit does: with its status and time.
  static void CommitOn(Background* background, absl::AnyInvocable<absl::Status()> commit, CommitDone done);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_STORE_H_
