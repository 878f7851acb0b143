#include "service/call/admin_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "absl/synchronization/notification.h"
#include "service/call/maintenance.h"

namespace holdfast::service {
namespace {

TEST(AdminThreadTest, ItTicksAtOnceAndRunsWorkInItsOrder) {
  absl::Notification ticked;
  AdminThread thread(absl::Hours(1), [&ticked] { ticked.Notify(); });
  ticked.WaitForNotification();
  std::string order;
  absl::Notification done;
  EXPECT_TRUE(thread.Run([&order] { order += "a"; }));
  EXPECT_TRUE(thread.Run([&order, &done] {
    order += "b";
    done.Notify();
  }));
  done.WaitForNotification();
  EXPECT_EQ(order, "ab");
}

TEST(AdminThreadTest, ItTicksAgainAndAgain) {
  std::atomic<int> ticks = 0;
  absl::Notification three;
  AdminThread thread(absl::Milliseconds(1), [&] {
    if (++ticks == 3) three.Notify();
  });
  three.WaitForNotification();
}

TEST(AdminThreadTest, TooMuchWorkIsRefusedAndWhatWaitsIsDoneBeforeTheEnd) {
  absl::Notification begun;
  absl::Notification go;
  std::atomic<size_t> done = 0;
  {
    AdminThread thread(absl::Hours(1), [] {});
    ASSERT_TRUE(thread.Run([&] {
      begun.Notify();
      go.WaitForNotification();
    }));
    begun.WaitForNotification();
    for (size_t i = 0; i < AdminThread::kWaitingMax; ++i) ASSERT_TRUE(thread.Run([&done] { ++done; }));
    EXPECT_FALSE(thread.Run([] { ADD_FAILURE() << "refused work ran"; }));
    go.Notify();
  }
  EXPECT_EQ(done, AdminThread::kWaitingMax);
}

TEST(MaintenanceTest, ThereIsOnePieceOfWorkAtATime) {
  Maintenance maintenance;
  absl::Notification begun;
  absl::Notification go;
  ASSERT_TRUE(maintenance.Begin([&](const std::atomic<bool>&) {
    begun.Notify();
    go.WaitForNotification();
  }));
  begun.WaitForNotification();
  EXPECT_FALSE(maintenance.Begin([](const std::atomic<bool>&) { ADD_FAILURE() << "refused work ran"; }));
  go.Notify();
  absl::Notification second;
  while (!maintenance.Begin([&second](const std::atomic<bool>&) { second.Notify(); })) {
  }
  second.WaitForNotification();
}

TEST(MaintenanceTest, AStopEndsTheWorkAndTakesNoMore) {
  Maintenance maintenance;
  std::atomic<bool> ended = false;
  ASSERT_TRUE(maintenance.Begin([&ended](const std::atomic<bool>& stopping) {
    while (!stopping) {
    }
    ended = true;
  }));
  maintenance.Stop();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(maintenance.Begin([](const std::atomic<bool>&) {}));
}

}  // namespace
}  // namespace holdfast::service
