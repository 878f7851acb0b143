// What the node keeps on disk: families of ordered keys, of which a few are the node's own and the others belong to one
// object each, and one atomic, durable commit over any number of them.
//
// RocksDbStore is the one that servers run; MemoryStore is its reference model in tests and the store of simulations.

#ifndef HOLDFAST_STORAGE_STORE_STORE_H_
#define HOLDFAST_STORAGE_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

// Names an open family for as long as the process lives; not stored.
enum class FamilyId : uint32_t {
  kNode = 0,      // the store's header
  kCatalog = 1,   // which objects exist
  kAlarms = 2,    // alarms by due time
  kPacked = 3,    // objects that have no family of their own, each under its prefix
  kRequests = 4,  // replies to requests with a request_id
  kFirstOwn = 5,
};

enum class ReadTier {
  kMemory,  // only what needs no disk; otherwise kNeedsDisk
  kDisk,    // may block
};

enum class ReadResult { kFound, kAbsent, kNeedsDisk, kError };

// Goes over the keys of one family within a range, in either direction. One thread at a time; must not outlive the
// store. It sees the family as of its making, also when that is dropped meanwhile.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // To the first entry within the range whose key is not before this one.
  virtual void Seek(absl::string_view key) = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  // kFound on an entry, kAbsent past the last one; kNeedsDisk and kError end the walk.
  virtual ReadResult state() const = 0;
  virtual absl::Status error() const = 0;
  // Valid on an entry, until the cursor moves.
  virtual absl::string_view key() const = 0;
  virtual absl::string_view value() const = 0;
};

// Where in the store a keyspace lies: in a family, under a prefix, which is empty in a family of its own.
struct Location {
  FamilyId family = FamilyId::kPacked;
  std::string prefix;

  bool operator==(const Location&) const = default;
};

// The writes of one commit to one keyspace; the keys in the set are without the prefix.
struct KeyspaceWrites {
  const Location* location;
  const WriteSet* writes;
};

struct OwnFamily {
  FamilyId id;
  std::string name;
};

// Any thread may call any method.
class Store {
 public:
  virtual ~Store() = default;

  // `key` is with the prefix of its location. With kFound `*value` is set, with kError `*error`.
  virtual ReadResult Get(FamilyId family, absl::string_view key, ReadTier tier, std::string* value,
                         absl::Status* error) = 0;
  virtual std::unique_ptr<Cursor> NewCursor(FamilyId family, KeyRange range, ReadTier tier) = 0;

  // Of a point that has a patch the patch may be written instead of the value. One that does not fit what is stored, or
  // finds nothing, leaves kDamagedValue (storage/store/patch.h).
  //
  // All of it or nothing, synced to disk on return; of concurrent commits the store may make one sync. Each keyspace at
  // most once in a commit. After an error nobody can tell what is on disk: the process must stop without another try.
  virtual absl::Status Commit(absl::Span<const KeyspaceWrites> writes) = 0;

  // Whether the disk is so full that only a reserve is left. Then whoever would commit is to refuse it with
  // RESOURCE_EXHAUSTED instead; reads go on, and so does what is on its way. Cheap; up to some 100 ms old.
  virtual bool DiskFull() { return false; }

  // Families of single objects. A new one is durable on return, and empty; a family must be dropped only when no commit
  // in progress or to come names it. Both may take milliseconds: never on an executor. While the disk is full none is
  // made: RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<FamilyId> CreateFamily(absl::string_view name) = 0;
  virtual absl::Status DropFamily(FamilyId family) = 0;
  virtual std::vector<OwnFamily> ListOwnFamilies() = 0;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_STORE_STORE_H_
