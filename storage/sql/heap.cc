#include "storage/sql/heap.h"

#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

namespace holdfast::storage::sql {
namespace {

// Returns the address in the middle of the thread's stack.
const char* HalfOfStack() {
  pthread_attr_t attributes;
  void* lowest = nullptr;
  size_t bytes = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    (void)pthread_attr_getstack(&attributes, &lowest, &bytes);
    pthread_attr_destroy(&attributes);
  }
  return static_cast<const char*>(lowest) + bytes / 2;
}

bool StackIsNearlyUsed() {
  thread_local const char* const half = HalfOfStack();
  return static_cast<const char*>(__builtin_frame_address(0)) < half;
}

}  // namespace

// Lives as long as the heap or anything allocated in it does.
struct HeapAccount {
  std::atomic<size_t> users = 1;
  std::atomic<size_t> bytes = 0;
  size_t bytes_peak = 0;
  size_t bytes_max;
  bool refused = false;
  bool too_deep = false;
  bool of_all_refused = false;
  Budget* budget;  // null once the heap is gone
  HeapTotal* total;

  bool Take(size_t more) {
    const size_t after = bytes.load(std::memory_order_relaxed) + more;
    if (StackIsNearlyUsed()) {
      too_deep = true;
      return false;
    }
    if (after > bytes_max) refused = true;
    if (after > bytes_max || (budget != nullptr && !budget->Allocation(after))) return false;
    if (total != nullptr && !total->Take(more, after)) {
      of_all_refused = true;
      return false;
    }
    bytes.fetch_add(more, std::memory_order_relaxed);
    bytes_peak = std::max(bytes_peak, after);
    return true;
  }
  void Give(size_t less) {
    bytes.fetch_sub(less, std::memory_order_relaxed);
    if (total != nullptr) total->bytes.fetch_sub(less, std::memory_order_relaxed);
  }
  void Leave() {
    if (users.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

namespace {

thread_local HeapAccount* current_account = nullptr;

// The header that stands before each allocation.
struct alignas(16) Header {
  HeapAccount* account;  // null: the memory belongs to no connection
  size_t bytes;
};

Header* HeaderOf(void* memory) { return static_cast<Header*>(memory) - 1; }

void* Allocate(int size) {
  HeapAccount* account = current_account;
  const auto bytes = static_cast<size_t>(size);
  if (account != nullptr && !account->Take(bytes)) return nullptr;
  auto* header = static_cast<Header*>(std::malloc(sizeof(Header) + bytes));
  if (header == nullptr) {
    if (account != nullptr) account->Give(bytes);
    return nullptr;
  }
  if (account != nullptr) account->users.fetch_add(1, std::memory_order_relaxed);
  *header = {account, bytes};
  return header + 1;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  Header* header = HeaderOf(memory);
  if (HeapAccount* account = header->account; account != nullptr) {
    account->Give(header->bytes);
    account->Leave();
  }
  std::free(header);
}

void* Reallocate(void* memory, int size) {
  Header* header = HeaderOf(memory);
  HeapAccount* account = header->account;
  const auto bytes = static_cast<size_t>(size);
  const size_t before = header->bytes;
  if (account != nullptr && bytes > before && !account->Take(bytes - before)) return nullptr;
  auto* moved = static_cast<Header*>(std::realloc(header, sizeof(Header) + bytes));
  if (account != nullptr && moved == nullptr && bytes > before) account->Give(bytes - before);
  if (moved == nullptr) return nullptr;
  if (account != nullptr && bytes < before) account->Give(before - bytes);
  moved->bytes = bytes;
  return moved + 1;
}

int Size(void* memory) { return memory == nullptr ? 0 : static_cast<int>(HeaderOf(memory)->bytes); }
int RoundUp(int size) { return (size + 7) & ~7; }
int Init(void*) { return SQLITE_OK; }
void Shutdown(void*) {}

[[maybe_unused]] const bool configured = [] {
  static const sqlite3_mem_methods methods = {Allocate, Free, Reallocate, Size, RoundUp, Init, Shutdown, nullptr};
  constexpr int kSortPages = 64;
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_PMASZ, kSortPages) == SQLITE_OK;
}();

}  // namespace

bool HeapTotal::Take(size_t more, size_t of_heap) {
  if (bytes.fetch_add(more, std::memory_order_relaxed) + more <= bytes_max || of_heap <= kSmallBytes) return true;
  bytes.fetch_sub(more, std::memory_order_relaxed);
  return false;
}

Heap::Heap(size_t bytes_max, Budget* budget, HeapTotal* total)
    : account_(new HeapAccount{.bytes_max = bytes_max, .budget = budget, .total = total}) {}

Heap::~Heap() {
  account_->budget = nullptr;
  account_->Leave();
}

size_t Heap::bytes() const { return account_->bytes.load(std::memory_order_relaxed); }

bool Heap::TakeRefused() { return std::exchange(account_->refused, false); }

bool Heap::TakeTooDeep() { return std::exchange(account_->too_deep, false); }

bool Heap::TakeOfAllRefused() { return std::exchange(account_->of_all_refused, false); }

size_t Heap::TakePeak() { return std::exchange(account_->bytes_peak, bytes()); }

Heap::Scope::Scope(Heap* heap) : before_(std::exchange(current_account, heap->account_)) {}

Heap::Scope::~Scope() { current_account = before_; }

}  // namespace holdfast::storage::sql
