#include "service/call/request_parser.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"

namespace holdfast::service {
namespace {

TEST(RequestParser, ConnectionsTakeTurns) {
  RequestParser parser;
  absl::Notification begun;
  absl::Notification go;
  parser.Run("many", [&] {
    begun.Notify();
    go.WaitForNotification();
  });
  begun.WaitForNotification();
  std::vector<std::string> order;  // used on the parser's thread until `done`
  absl::Notification done;
  for (const char* name : {"m1", "m2", "m3"}) parser.Run("many", [&order, name] { order.push_back(name); });
  parser.Run("few", [&order] { order.push_back("f1"); });
  parser.Run("last", [&order] { order.push_back("l1"); });
  // Free() runs before other work, though it is called last.
  const auto garbage = std::make_shared<int>(0);
  parser.Free([garbage] {});
  parser.Run("last", [&order, weak = std::weak_ptr<int>(garbage)] {
    order.push_back(weak.use_count() == 1 ? "freed" : "kept");
  });
  go.Notify();
  parser.Run("many", [&done] { done.Notify(); });
  done.WaitForNotification();
  EXPECT_EQ(order, (std::vector<std::string>{"m1", "f1", "l1", "m2", "freed", "m3"}));
}

TEST(RequestParser, WhatWaitsAtTheEndIsDropped) {
  const auto kept = std::make_shared<int>(0);
  {
    RequestParser parser;
    absl::Notification begun;
    parser.Run("a", [&, kept] { begun.Notify(); });
    begun.WaitForNotification();
    for (int i = 0; i < 100; ++i) parser.Run("a", [kept] {});
  }
  EXPECT_EQ(kept.use_count(), 1);
}

}  // namespace
}  // namespace holdfast::service
