// The place of an object on disk, and its moves between the family in which small objects are packed and a family of
// its own.
//
// A move copies the object part by part, each part in a turn of its own, while the object goes on. What was copied is
// at both places, and every turn's writes go to both, so the new place is whole at any time up to where the copy is.
// The batch with the last part removes the old place and names the new one in the catalog: a crash before it leaves the
// object where it was, one after it leaves it at the new place. storage/FORMAT.md has the steps.
//
// The activation takes the turns; this class says what they read and stages what they write. PlacementPolicy decides
// which objects move. Threading: the executor. Ownership: the activation's; the pointers outlive it.

#ifndef HOLDFAST_ACTORS_RUNTIME_OBJECT_PLACE_H_
#define HOLDFAST_ACTORS_RUNTIME_OBJECT_PLACE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/commit/commit_pipeline.h"
#include "storage/node/families.h"
#include "storage/object/keyspace.h"
#include "storage/object/object_storage.h"
#include "storage/store/object_id.h"
#include "storage/store/write_set.h"

namespace holdfast::actors {

struct Lane;

class ObjectPlace {
 public:
  // A part of the object, in the order of its keys.
  struct Part {
    std::vector<storage::Entry> entries;
    bool last = false;       // nothing is left after it
    bool too_large = false;  // the object has too many bytes to be packed
  };

  ObjectPlace(const storage::ObjectKey* key, storage::ObjectStorage* storage, Lane* lane);
  ObjectPlace(const ObjectPlace&) = delete;
  ObjectPlace& operator=(const ObjectPlace&) = delete;

  bool packed() const { return !placement_; }
  // The generation of the object's family; 0 if it is packed.
  uint64_t generation() const { return placement_ ? placement_->generation : 0; }
  const storage::Keyspace& keyspace() const { return *keyspace_; }
  // The last batch with writes of the object.
  storage::BatchNumber last_batch() const { return last_batch_; }

  // Gives writes of the object to the commit pipeline.
  void Join(storage::WriteSet* writes);

  // --- A family of its own.
  // Returns whether the object is packed and nothing speaks against a family.
  bool WantsFamily() const;
  // A family is being made for the object: BeginMove or FamilyRefused follows.
  void AwaitFamily() { family_pending_ = true; }
  bool family_pending() const { return family_pending_; }
  // The family could not be made; the object asks for one again later.
  void FamilyRefused();

  // --- A move.
  bool moving() const { return move_ != nullptr; }
  // To this family, which is empty, and is dropped if the move comes to nothing; nothing: to be packed.
  void BeginMove(std::optional<storage::Placement> to);
  // Reads the next part. Errors: NOT_FOUND if the move has ended meanwhile, RESOURCE_EXHAUSTED if the object is too
  // large to be packed or the disk is full, UNAVAILABLE if it has just moved, and those of the store.
  Task<absl::Status> ReadPart(Part* part);
  // Stages the copy of a part; with the last part the object has moved. `header` is the object's.
  void CommitPart(Part part, const storage::v1::ObjectHeader& header);
  // The move comes to nothing.
  void AbortMove(bool too_large);

  // --- Deletion. A family of its own goes as a whole.
  struct Left {
    std::optional<storage::Placement> family;
    std::unique_ptr<storage::Keyspace> keyspace;
  };
  // The object is packed from now on, if it had a family. The turn's writes are then those of a new packed object.
  Left LeaveFamily();
  // Has the family dropped once the object's last batch is durable; with `soon` behind others that wait for the same.
  void DropWhenDurable(Left left, bool soon);
  // A deleted object may have a family again at once.
  void AllowFamily() { family_refused_until_ = absl::InfinitePast(); }

 private:
  struct Move {
    std::optional<storage::Placement> to;
    std::unique_ptr<storage::Keyspace> keyspace;
    std::string copied_to;  // the keys before it are at both places
  };

  const storage::ObjectKey* const key_;
  storage::ObjectStorage* const storage_;
  Lane* const lane_;
  std::optional<storage::Placement> placement_;  // nothing: packed
  std::unique_ptr<storage::Keyspace> keyspace_;
  std::unique_ptr<Move> move_;  // the move that goes on
  uint64_t moves_ = 0;          // so many have begun
  bool family_pending_ = false;
  absl::Time family_refused_until_ = absl::InfinitePast();
  storage::BatchNumber last_batch_ = 0;
  storage::BatchNumber move_batch_ = 0;  // with the last part of the last move
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_PLACE_H_
