// The writes that are logged and not in the store yet, by keyspace: those since the last fold began, and those that are
// being folded.
//
// Invariants:
//   1. A batch is added as a whole or not at all, as a fold sees it: BeginFold takes whole batches, and says for each
//      log which was the last.
//   2. The writes that are being folded do not change.
//   3. A snapshot does not change: while one has a set of writes, newer writes of its keyspace go into another set.
//
// Threading: any thread; the batches of one log are added one after the other, and folds follow each other.

#ifndef HOLDFAST_STORAGE_FOLD_UNFOLDED_H_
#define HOLDFAST_STORAGE_FOLD_UNFOLDED_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/base/batch_number.h"
#include "storage/base/mutex.h"
#include "storage/store/store.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

class Unfolded {
 private:
  // The sets of one keyspace, oldest first: one, unless a snapshot had the last one when writes came.
  using Sets = std::vector<std::shared_ptr<WriteSet>>;
  using Keyspaces = absl::flat_hash_map<Location, Sets>;
  struct Slot;

 public:
  // The writes to one location at one moment.
  class Snapshot {
   public:
    Snapshot() = default;
    Snapshot(Snapshot&&) = default;
    Snapshot& operator=(Snapshot&&) = delete;
    ~Snapshot();

    bool empty() const { return sets_.empty(); }
    // Newest first.
    std::vector<const WriteSet*> Layers() const;

   private:
    friend class Unfolded;

    Slot* slot_ = nullptr;
    Sets sets_;  // oldest first
  };

  // Everything that a fold writes.
  struct Fold {
    std::vector<KeyspaceWrites> writes;    // by family and prefix
    std::map<uint32_t, BatchNumber> last;  // the last batch of each log that has added any
    size_t bytes = 0;
    std::vector<std::unique_ptr<WriteSet>> joined;  // those of `writes` that are of several sets
  };

  Unfolded() = default;
  Unfolded(const Unfolded&) = delete;
  Unfolded& operator=(const Unfolded&) = delete;

  // Adds a batch of a log, which follows on the one that was added before, and takes the contents of the sets.
  void Add(uint32_t log, BatchNumber batch, absl::Span<const KeyspaceWrites> writes);

  // Says what the newest writes say of a key; on kPresent copies the value.
  WriteSet::Verdict Find(const Location& location, absl::string_view key, std::string* value);
  // A snapshot of a keyspace; of the packed family without a prefix it is a copy of all its keyspaces, for repairs.
  Snapshot Take(const Location& location);

  // Begins a fold of all that was added. The writes stay here, and in the result, until EndFold.
  Fold BeginFold();
  // The store holds the writes of the fold.
  void EndFold();
  // Counts the beginnings and ends of folds. A snapshot and a cursor of the store fit together if there was none
  // between.
  uint64_t fold_steps() const { return fold_steps_.load(std::memory_order_acquire); }

  // The bytes of all writes here, with an overhead for each keyspace.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kSlots = 64;
  static constexpr size_t kKeyspaceBytes = 256;

  struct Slot {
    Mutex mutex;
    Keyspaces logged ABSL_GUARDED_BY(mutex);
    // Only a fold inserts and removes; it reads without the mutex.
    Keyspaces folding;
  };

  Slot& SlotOf(const Location& location) { return slots_[absl::HashOf(location) % kSlots]; }
  // Adds the writes to a keyspace's sets; returns by how many bytes the sets have grown.
  static size_t AddTo(Sets* sets, WriteSet* writes);
  Snapshot TakeFamily(FamilyId family);

  std::array<Slot, kSlots> slots_;
  std::atomic<size_t> bytes_ = 0;
  std::atomic<uint64_t> fold_steps_ = 0;
  size_t folding_bytes_ = 0;  // of the thread that folds

  // Held shared while a batch is added, and by a fold while it takes the batches.
  SharedMutex batches_mutex_;
  Mutex last_mutex_;
  std::map<uint32_t, BatchNumber> last_ ABSL_GUARDED_BY(last_mutex_);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_FOLD_UNFOLDED_H_
