// SQLite's memory, counted for each connection, and bounded.
//
// SQLite's own limit is one of the process: what one object's statement takes would fail those of others. So it is
// given an allocator that knows whose memory it is: that of the connection that the thread is in. It is set before
// main(), since SQLite takes it only before it is first used, together with what else is of the process: no statistics,
// which would take a lock for each allocation, no pages allocated before they are needed, and sorts that go to
// temporary files in parts of 256 KiB.
//
// SQLite goes down its own stack with each view, trigger and foreign key that a statement comes to, of which a schema
// may have ten thousand one behind the other; on the way it allocates. So an allocation is also refused where half of
// the thread's stack is used.
//
// Threading: one thread at a time; what is freed later than the connection may be freed by any.

#ifndef HOLDFAST_STORAGE_SQL_HEAP_H_
#define HOLDFAST_STORAGE_SQL_HEAP_H_

#include <atomic>
#include <cstddef>

#include "storage/sql/budget.h"

namespace holdfast::storage::sql {

struct HeapAccount;

// What all heaps together may have; any thread. It outlives them and what was allocated in them.
struct HeapTotal {
  // A heap that has no more than this is not refused: it is what an open database needs.
  static constexpr size_t kSmallBytes = 4 << 20;

  explicit HeapTotal(size_t max) : bytes_max(max) {}
  // For a heap that would have `of_heap` bytes then.
  bool Take(size_t more, size_t of_heap);

  const size_t bytes_max;
  std::atomic<size_t> bytes = 0;
};

class Heap {
 public:
  // `budget` outlives this; `total` may be null. More than `bytes_max` at once is out of memory for SQLite, and so is
  // all when the budget is spent.
  Heap(size_t bytes_max, Budget* budget, HeapTotal* total = nullptr);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  ~Heap();

  size_t bytes() const;
  // The most since it was last asked.
  size_t TakePeak();

  // Whether an allocation was refused by the bound since it was last asked.
  bool TakeRefused();
  // The same, by the bound of all heaps.
  bool TakeOfAllRefused();
  // The same, because half of the thread's stack was used.
  bool TakeTooDeep();

  // What this thread allocates is this heap's.
  class Scope {
   public:
    explicit Scope(Heap* heap);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    HeapAccount* const before_;
  };

 private:
  HeapAccount* const account_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_HEAP_H_
