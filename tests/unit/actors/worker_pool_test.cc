#include "actors/executor/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/simulation/node.h"

namespace holdfast::actors {
namespace {

class WorkerPoolTest : public ::testing::Test {
 protected:
  simulation::VirtualClock clock;
  // Other threads may post to the executor; it runs when the test tells it to.
  simulation::ManualExecutor executor{&clock};
};

TEST_F(WorkerPoolTest, OneThreadWorksInTheOrderOfTheCalls) {
  std::vector<int> worked;
  std::vector<int> done;
  {
    WorkerPool pool(&executor, "one", 1);
    for (int i = 0; i < 1000; ++i) {
      pool.Run([&worked, i] { worked.push_back(i); }, [&done, i] { done.push_back(i); });
    }
  }
  ASSERT_EQ(worked.size(), 1000u);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(worked[static_cast<size_t>(i)], i);
  EXPECT_TRUE(done.empty()) << "the end is told on the executor, not on the thread";
  executor.RunUntilIdle();
  EXPECT_EQ(done, worked);
}

TEST_F(WorkerPoolTest, WorkRunsOnAnotherThreadAndItsEndOnTheExecutor) {
  std::thread::id worker;
  std::thread::id executors;
  {
    WorkerPool pool(&executor, "one", 1);
    pool.Run([&] { worker = std::this_thread::get_id(); }, [&] { executors = std::this_thread::get_id(); });
  }
  executor.RunUntilIdle();
  EXPECT_NE(worker, std::this_thread::get_id());
  EXPECT_EQ(executors, std::this_thread::get_id());
}

TEST_F(WorkerPoolTest, AsManyPiecesOfWorkRunAtOnceAsThereAreThreads) {
  constexpr int kThreads = 3;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  {
    // Each task waits until all have begun, which happens only if each has a thread. The latch outlives the pool, whose
    // threads may use it for a moment after the last has arrived.
    std::latch all_begun(kThreads);
    WorkerPool pool(&executor, "many", kThreads);
    for (int i = 0; i < kThreads; ++i) {
      pool.Run(
          [&] {
            all_begun.arrive_and_wait();
            std::lock_guard lock(mutex);
            threads.insert(std::this_thread::get_id());
          },
          [] {});
    }
    all_begun.wait();
  }
  EXPECT_EQ(threads.size(), static_cast<size_t>(kThreads));
}

TEST_F(WorkerPoolTest, TheDestructorFinishesTheWorkThatWaitsAndJoins) {
  std::atomic<int> worked = 0;
  {
    WorkerPool pool(&executor, "many", 4);
    for (int i = 0; i < 10'000; ++i) {
      pool.Run([&worked] { ++worked; }, [] {});
    }
  }
  EXPECT_EQ(worked, 10'000);
}

TEST_F(WorkerPoolTest, WhatTheWorkOwnsIsGoneBeforeItsEndIsTold) {
  auto owned = std::make_shared<int>(1);
  std::weak_ptr<int> watched = owned;
  bool gone = false;
  {
    WorkerPool pool(&executor, "one", 1);
    pool.Run([owned = std::move(owned)] { ASSERT_NE(owned, nullptr); }, [&] { gone = watched.expired(); });
  }
  executor.RunUntilIdle();
  EXPECT_TRUE(gone);
}

TEST_F(WorkerPoolTest, APoolWithoutWorkEnds) { WorkerPool pool(&executor, "idle", 2); }

}  // namespace
}  // namespace holdfast::actors
