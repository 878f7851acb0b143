#include "actors/executor/task.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::actors {
namespace {

// Suspends every coroutine that awaits it until Open.
class Door {
 public:
  auto operator co_await() { return Awaiting{this}; }
  void Open() { std::exchange(waiting_, nullptr).resume(); }
  bool waited_for() const { return waiting_ != nullptr; }

 private:
  struct Awaiting {
    Door* door;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { door->waiting_ = handle; }
    void await_resume() const {}
  };

  std::coroutine_handle<> waiting_;
};

// Sets a flag when it is destroyed.
class Witness {
 public:
  explicit Witness(bool* destroyed) : destroyed_(destroyed) {}
  ~Witness() { *destroyed_ = true; }

 private:
  bool* const destroyed_;
};

Task<int> Give(int value) { co_return value; }

TEST(TaskTest, DoesNotBeginBeforeItIsStarted) {
  bool begun = false;
  const auto body = [&]() -> Task<int> {
    begun = true;
    co_return 7;
  };
  Task<int> task = body();
  EXPECT_FALSE(begun);
  task.Start();
  EXPECT_TRUE(begun);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeResult(), 7);
}

TEST(TaskTest, HandsItsResultToTheOneThatAwaitsIt) {
  const auto body = []() -> Task<int> {
    const int a = co_await Give(1);
    const int b = co_await Give(2);
    co_return a * 10 + b;
  };
  Task<int> task = body();
  task.Start();
  EXPECT_EQ(task.TakeResult(), 12);
}

TEST(TaskTest, GoesOnWhereItWaited) {
  Door door;
  std::vector<std::string> events;
  const auto inner = [&]() -> Task<int> {
    events.emplace_back("inner waits");
    co_await door;
    events.emplace_back("inner goes on");
    co_return 3;
  };
  const auto outer = [&]() -> Task<int> {
    const int value = co_await inner();
    events.emplace_back("outer goes on");
    co_return value + 1;
  };
  Task<int> task = outer();
  task.Start();
  EXPECT_FALSE(task.done());
  ASSERT_TRUE(door.waited_for());
  door.Open();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeResult(), 4);
  EXPECT_EQ(events, (std::vector<std::string>{"inner waits", "inner goes on", "outer goes on"}));
}

TEST(TaskTest, DroppingASuspendedTaskDestroysEverythingThatItAwaits) {
  Door door;
  bool inner_destroyed = false;
  bool outer_destroyed = false;
  bool went_on = false;
  const auto inner = [&]() -> Task<int> {
    Witness witness(&inner_destroyed);
    co_await door;
    went_on = true;
    co_return 1;
  };
  const auto outer = [&]() -> Task<int> {
    Witness witness(&outer_destroyed);
    co_return co_await inner();
  };
  {
    Task<int> task = outer();
    task.Start();
    EXPECT_FALSE(inner_destroyed);
    EXPECT_FALSE(outer_destroyed);
  }
  EXPECT_TRUE(inner_destroyed);
  EXPECT_TRUE(outer_destroyed);
  EXPECT_FALSE(went_on);
}

TEST(TaskTest, DroppingATaskThatWasNeverStartedIsFine) {
  bool begun = false;
  {
    const auto body = [&]() -> Task<int> {
      begun = true;
      co_return 1;
    };
    Task<int> task = body();
  }
  EXPECT_FALSE(begun);
}

TEST(TaskTest, MovesToANewOwner) {
  Door door;
  bool destroyed = false;
  const auto body = [&]() -> Task<std::unique_ptr<int>> {
    Witness witness(&destroyed);
    co_await door;
    co_return std::make_unique<int>(5);
  };
  Task<std::unique_ptr<int>> first = body();
  first.Start();
  Task<std::unique_ptr<int>> second = std::move(first);
  Task<std::unique_ptr<int>> third;
  third = std::move(second);
  EXPECT_FALSE(destroyed);
  door.Open();
  ASSERT_TRUE(third.done());
  EXPECT_EQ(*third.TakeResult(), 5);
}

TEST(TaskTest, AssigningDropsTheTaskThatWasThere) {
  Door door;
  bool destroyed = false;
  const auto body = [&]() -> Task<int> {
    Witness witness(&destroyed);
    co_await door;
    co_return 1;
  };
  Task<int> task = body();
  task.Start();
  task = Give(2);
  EXPECT_TRUE(destroyed);
  task.Start();
  EXPECT_EQ(task.TakeResult(), 2);
}

// Each coroutine awaits the next, and all end at once by symmetric transfer, which takes no stack.
Task<int> Nest(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await Nest(depth - 1);
}

TEST(TaskTest, ALoopOverManyAwaitsEnds) {
  const auto body = []() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 100'000; ++i) sum += co_await Give(1);
    co_return sum;
  };
  Task<int> task = body();
  task.Start();
  EXPECT_EQ(task.TakeResult(), 100'000);
  Task<int> nested = Nest(1000);
  nested.Start();
  EXPECT_EQ(nested.TakeResult(), 1000);
}

}  // namespace
}  // namespace holdfast::actors
