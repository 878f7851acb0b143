// An operation on an object's storage that a handler awaits: `co_await storage.Get(key)`. It reads, and may stage
// writes that depend on what it has read.
//
// Awaiting the operation runs its read at once, against what is in memory; mostly that is all, and the handler goes on
// without having been suspended. A read that needs the disk, or looks at many entries, runs again on a thread of its
// own, against a copy of the pending writes, while the object's input gate is held.
//
// An operation must be awaited once, in the turn that made it. It may be dropped while its read is on the way (an
// object that is reset): the result is then thrown away.

#ifndef HOLDFAST_STORAGE_OBJECT_OPERATION_H_
#define HOLDFAST_STORAGE_OBJECT_OPERATION_H_

#include <coroutine>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/object/keyspace.h"

namespace holdfast::storage {

// Resumes handlers that awaited a read.
class Resumer {
 public:
  virtual void Resume(std::coroutine_handle<> handler) = 0;

 protected:
  ~Resumer() = default;
};

// Carries out reads of one keyspace, on its executor only.
class Reader {
 public:
  virtual ~Reader() = default;
  // Returns a view of the memory tier, valid until the next write.
  virtual View MemoryView() = 0;
  // Runs `read` off the executor, with a view that may use the disk and sees the pending writes in `range`; then `done`
  // on the executor.
  virtual void ReadFromDisk(const KeyRange& range, absl::AnyInvocable<void(View&)> read,
                            absl::AnyInvocable<void()> done) = 0;
  // Resumes the handler that awaited a read.
  virtual void Resume(std::coroutine_handle<> handler) = 0;
};

template <typename T>
class [[nodiscard]] StorageOp {
 public:
  // Reads within `range`. May be called twice, the second time on another thread, so it owns the data that it needs.
  using Function = absl::AnyInvocable<absl::StatusOr<T>(View&)>;
  // Runs on the executor with a result that was read; an error replaces the result.
  using After = absl::AnyInvocable<absl::Status(T&)>;

  StorageOp(Reader* reader, KeyRange range, Function function, After after = nullptr)
      : reader_(reader), range_(std::move(range)), function_(std::move(function)), after_(std::move(after)) {}
  // A read that failed before it began.
  explicit StorageOp(absl::Status error) : result_(std::move(error)) {}
  StorageOp(StorageOp&&) = default;  // NOLINT(performance-noexcept-move-constructor): as StatusOr.
  ~StorageOp() {
    if (state_ != nullptr) state_->dropped = true;
  }

  bool await_ready() {
    if (reader_ == nullptr) return true;
    View view = reader_->MemoryView();
    result_ = function_(view);
    return !view.needs_disk();
  }

  void await_suspend(std::coroutine_handle<> handler) {
    state_ = std::make_shared<State>(State{std::move(function_), absl::UnknownError("not read")});
    reader_->ReadFromDisk(
        range_, [state = state_](View& view) { state->result = state->function(view); },
        [state = state_, reader = reader_, handler] {
          if (!state->dropped) reader->Resume(handler);
        });
  }

  absl::StatusOr<T> await_resume() {
    if (state_ != nullptr) {
      result_ = std::move(state_->result);
      state_ = nullptr;
    }
    if (result_.ok() && after_ != nullptr) {
      if (absl::Status status = after_(*result_); !status.ok()) return status;
    }
    return std::move(result_);
  }

 private:
  struct State {
    Function function;
    absl::StatusOr<T> result;
    bool dropped = false;  // on the executor only
  };

  Reader* reader_ = nullptr;
  KeyRange range_;
  Function function_;
  After after_;
  absl::StatusOr<T> result_ = absl::UnknownError("not read");
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_OBJECT_OPERATION_H_
