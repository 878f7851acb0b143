// Task<T>: a coroutine that begins when it is awaited and hands its result to the one that awaits it.
//
//   Task<absl::Status> Counter::Increment(...) {
//     auto value = co_await storage().Get("value");
//     ...
//     co_return absl::OkStatus();
//   }
//
// A Task owns its coroutine. Destroying a suspended task destroys the coroutine with everything that it awaits; a reset
// of an object ends its turns that way. The outermost task is not awaited: Start() begins it, and done() tells whether
// it has ended. Tasks use no locks and stay on the executor that started them. The references that a coroutine gets
// must outlive it. Exceptions end the process: the project has none of its own.

#ifndef HOLDFAST_ACTORS_EXECUTOR_TASK_H_
#define HOLDFAST_ACTORS_EXECUTOR_TASK_H_

#include <coroutine>
#include <optional>
#include <utility>

#include "storage/base/check.h"

namespace holdfast::actors {

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept { return Final{}; }
    template <typename U>
    void return_value(U&& value) {
      result.emplace(std::forward<U>(value));
    }
    [[noreturn]] void unhandled_exception() noexcept { HOLDFAST_CHECK(false, "an exception in a coroutine"); }

    std::optional<T> result;
    std::coroutine_handle<> awaiting = std::noop_coroutine();
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Runs the task until it first suspends or ends. Call it once, and only on a task that nobody awaits.
  void Start() { handle_.resume(); }
  bool done() const { return handle_.done(); }
  // Moves the result out. Call it once, after done().
  T TakeResult() { return *std::move(handle_.promise().result); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  T await_resume() { return TakeResult(); }

 private:
  struct Final {
    bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
      return ended.promise().awaiting;
    }
    void await_resume() noexcept {}
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_ = nullptr;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_EXECUTOR_TASK_H_
