// SQLite's memory, counted for each connection, and bounded.
//
// SQLite's own limit is for the whole process: memory that one object's statement takes would fail the statements of
// others. Therefore SQLite gets an allocator that counts memory for the connection that the thread is in. The allocator
// is set before main(), since SQLite accepts it only before it is first used. The other settings of the process are set
// with it: no statistics, which would take a lock for each allocation, no pages allocated before they are needed, and
// sorts that go to temporary files in parts of 256 KiB.
//
// SQLite recurses for each view, trigger and foreign key that a statement leads to, and a schema may have a chain of
// ten thousand of them; on the way SQLite allocates. Therefore an allocation is also refused when half of the thread's
// stack is used.
//
// Threading: one thread at a time; memory that outlives the connection may be freed by any thread.

#ifndef HOLDFAST_STORAGE_SQL_HEAP_H_
#define HOLDFAST_STORAGE_SQL_HEAP_H_

#include <atomic>
#include <cstddef>

#include "storage/sql/budget.h"

namespace holdfast::storage::sql {

struct HeapAccount;

// The bound on the memory of all heaps together. It outlives the heaps and the memory that was allocated in them. Any
// thread.
struct HeapTotal {
  // The bound refuses nothing to a heap of at most this size: an open database needs as much.
  static constexpr size_t kSmallBytes = 4 << 20;

  explicit HeapTotal(size_t max) : bytes_max(max) {}
  // Counts `more` bytes for a heap that has `of_heap` bytes with them. Returns false, and counts nothing, if the bound
  // refuses them.
  bool Take(size_t more, size_t of_heap);

  const size_t bytes_max;
  std::atomic<size_t> bytes = 0;
};

class Heap {
 public:
  // `budget` outlives this; `total` may be null. An allocation fails if the heap would have over `bytes_max` bytes, or
  // if the budget is spent; SQLite then says that it is out of memory.
  Heap(size_t bytes_max, Budget* budget, HeapTotal* total = nullptr);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  ~Heap();

  size_t bytes() const;
  // Returns the most bytes that the heap has had since the last call.
  size_t TakePeak();

  // Returns whether the bound of this heap has refused an allocation since the last call.
  bool TakeRefused();
  // Returns whether the bound of all heaps has refused an allocation since the last call.
  bool TakeOfAllRefused();
  // Returns whether an allocation was refused since the last call because half of the thread's stack was used.
  bool TakeTooDeep();

  // While a Scope lives, SQLite's allocations on its thread are counted for its heap.
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
