// Numbers that many threads add to and few read. Each thread adds to a copy of its own, on cache lines of its own, so
// an addition costs what one to a plain number does: no lock, no wait. A read sums the copies up; it sees each addition
// sooner or later, and not all at the same moment.
//
// Bounds: the number of cells and of copies is fixed. The first threads that add have a copy each, and all others share
// the last one, by atomic additions.
//
// Threading: any thread.

#ifndef HOLDFAST_SERVICE_METRICS_CELLS_H_
#define HOLDFAST_SERVICE_METRICS_CELLS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace holdfast::service {

class Cells {
 public:
  Cells(size_t cells, size_t copies)
      : lines_((cells + kPerLine - 1) / kPerLine), copies_(copies), line_of_(new Line[lines_ * copies_]) {}
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  void Add(size_t cell, uint64_t number = 1) {
    const size_t thread = ThreadNumber();
    if (thread + 1 < copies_) {
      // Nobody else writes to this copy.
      std::atomic<uint64_t>& own = At(thread, cell);
      own.store(own.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
    } else {
      At(copies_ - 1, cell).fetch_add(number, std::memory_order_relaxed);
    }
  }
  // Cells that are added to and subtracted from wrap around, so their sum is right as an int64_t.
  void Subtract(size_t cell) { Add(cell, ~uint64_t{0}); }
  uint64_t Sum(size_t cell) const {
    uint64_t sum = 0;
    for (size_t copy = 0; copy < copies_; ++copy) sum += At(copy, cell).load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr size_t kPerLine = 8;
  struct alignas(64) Line {
    std::atomic<uint64_t> cells[kPerLine] = {};
  };

  // Threads are numbered as they first add to any cells. The executors do so early, so theirs are next to each other.
  static size_t ThreadNumber() {
    static std::atomic<size_t> next = 0;
    thread_local const size_t number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
  }
  std::atomic<uint64_t>& At(size_t copy, size_t cell) const {
    return line_of_[copy * lines_ + cell / kPerLine].cells[cell % kPerLine];
  }

  const size_t lines_;  // of one copy
  const size_t copies_;
  const std::unique_ptr<Line[]> line_of_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_METRICS_CELLS_H_
