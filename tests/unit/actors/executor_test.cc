#include "actors/executor/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tests/simulation/node.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ExecutorTest : public ::testing::Test {
 protected:
  Executor::TimerId In(absl::Duration time, int mark) {
    return executor.At(clock.Now() + time, [this, mark] { ran.push_back(mark); });
  }
  void Advance(absl::Duration time) {
    clock.Advance(time);
    executor.RunUntilIdle();
  }

  simulation::VirtualClock clock;
  simulation::ManualExecutor executor{&clock};
  std::vector<int> ran;
};

TEST_F(ExecutorTest, RunsWhatIsPostedInOrder) {
  for (int i = 0; i < 5; ++i) executor.Post([this, i] { ran.push_back(i); });
  EXPECT_THAT(ran, IsEmpty());
  executor.RunUntilIdle();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(ExecutorTest, WhatAPostPostsRunsAfterWhatWasThere) {
  executor.Post([this] {
    ran.push_back(1);
    executor.Post([this] { ran.push_back(3); });
  });
  executor.Post([this] { ran.push_back(2); });
  executor.RunUntilIdle();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST_F(ExecutorTest, ATimerRunsNotBeforeItsTime) {
  In(absl::Seconds(1), 1);
  Advance(absl::Seconds(1) - absl::Nanoseconds(1));
  EXPECT_THAT(ran, IsEmpty());
  Advance(absl::Nanoseconds(1));
  EXPECT_THAT(ran, ElementsAre(1));
  Advance(absl::Hours(1));
  EXPECT_THAT(ran, ElementsAre(1));
}

TEST_F(ExecutorTest, TimersRunInOrderOfTimeAndThoseOfOneTimeInOrderOfSetting) {
  In(absl::Seconds(3), 5);
  In(absl::Seconds(1), 1);
  In(absl::Seconds(2), 2);
  In(absl::Seconds(2), 3);
  In(absl::Seconds(2), 4);
  Advance(absl::Seconds(10));
  EXPECT_THAT(ran, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(ExecutorTest, ATimerInThePastRunsAtOnce) {
  In(-absl::Hours(1), 1);
  executor.RunUntilIdle();
  EXPECT_THAT(ran, ElementsAre(1));
}

TEST_F(ExecutorTest, ATimerThatIsCancelledDoesNotRun) {
  const auto first = In(absl::Seconds(1), 1);
  In(absl::Seconds(1), 2);
  executor.Cancel(first);
  Advance(absl::Seconds(2));
  EXPECT_THAT(ran, ElementsAre(2));
  // Cancel() ignores a timer that has run or was cancelled.
  executor.Cancel(first);
}

TEST_F(ExecutorTest, ATimerMayCancelOthersAndItself) {
  std::optional<Executor::TimerId> self;
  const auto victim = In(absl::Seconds(2), 2);
  self = executor.At(clock.Now() + absl::Seconds(1), [&] {
    executor.Cancel(victim);
    executor.Cancel(*self);
    ran.push_back(1);
  });
  In(absl::Seconds(3), 3);
  Advance(absl::Seconds(5));
  EXPECT_THAT(ran, ElementsAre(1, 3));
}

TEST_F(ExecutorTest, ATimerThatSetsTimersForNowDoesNotKeepOthersFromRunning) {
  int left = 3;
  std::function<void()> again = [&] {
    ran.push_back(1);
    if (--left > 0) executor.At(clock.Now(), again);
  };
  executor.At(clock.Now(), again);
  In(absl::ZeroDuration(), 2);
  executor.RunUntilIdle();
  EXPECT_THAT(ran, ElementsAre(1, 2, 1, 1));
}

TEST_F(ExecutorTest, NextTimerIsTheEarliest) {
  EXPECT_EQ(executor.NextTimer(), absl::InfiniteFuture());
  In(absl::Seconds(5), 1);
  const auto early = In(absl::Seconds(2), 2);
  EXPECT_EQ(executor.NextTimer(), clock.Now() + absl::Seconds(2));
  executor.Cancel(early);
  EXPECT_EQ(executor.NextTimer(), clock.Now() + absl::Seconds(5));
}

TEST_F(ExecutorTest, ARoundEndsWithOnRound) {
  executor.set_on_round([this] { ran.push_back(9); });
  executor.Post([this] { ran.push_back(1); });
  executor.RunUntilIdle();
  executor.EndRound();
  EXPECT_THAT(ran, ElementsAre(1, 9));
}

// The simplest executor with a thread of its own.
class ThreadExecutor : public Executor {
 public:
  explicit ThreadExecutor(const Clock* clock) : Executor(clock), thread_([this] { Loop(); }) {}
  ~ThreadExecutor() override {
    Post([this] { ending_ = true; });
    thread_.join();
  }
  bool IsCurrent() const override { return std::this_thread::get_id() == thread_.get_id(); }

 protected:
  void Wake() override {
    ++wakes;
    {
      std::lock_guard lock(mutex_);
      awake_ = true;
    }
    changed_.notify_one();
  }

 private:
  void Loop() {
    while (!ending_) {
      if (RunInbox()) continue;
      std::unique_lock lock(mutex_);
      awake_ = false;
      lock.unlock();
      if (!FallAsleep()) continue;
      lock.lock();
      changed_.wait(lock, [this] { return awake_; });
      lock.unlock();
      AwakeAgain();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool awake_ = false;   // guarded by mutex_
  bool ending_ = false;  // used on the thread only

 public:
  std::atomic<int> wakes = 0;

 private:
  std::thread thread_;
};

TEST(ExecutorThreadTest, PostsOfManyThreadsAllRunOnTheThreadAndNoWakeIsLost) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 5'000;
  SystemClock clock;
  std::vector<std::vector<int>> seen(kThreads);
  bool all_current = true;
  {
    ThreadExecutor executor(&clock);
    std::vector<std::thread> posters;
    for (int thread = 0; thread < kThreads; ++thread) {
      posters.emplace_back([&, thread] {
        for (int i = 0; i < kPosts; ++i) {
          executor.Post([&, thread, i] {
            seen[static_cast<size_t>(thread)].push_back(i);
            all_current = all_current && executor.IsCurrent();
          });
        }
      });
    }
    for (std::thread& poster : posters) poster.join();
    EXPECT_FALSE(executor.IsCurrent());
  }
  EXPECT_TRUE(all_current);
  for (const std::vector<int>& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(of_thread[static_cast<size_t>(i)], i);
  }
}

TEST(ExecutorThreadTest, EachPostToASleepingThreadWakesIt) {
  SystemClock clock;
  ThreadExecutor executor(&clock);
  for (int i = 0; i < 200; ++i) {
    std::mutex mutex;
    std::condition_variable changed;
    bool ran = false;
    executor.Post([&] {
      std::lock_guard lock(mutex);
      ran = true;
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ran; });
  }
  // All tasks ran, so that a sleeping executor was woken. An executor that is awake is not woken for each post.
  EXPECT_LE(executor.wakes, 200);
}

}  // namespace
}  // namespace holdfast::actors
