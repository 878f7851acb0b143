#include "actors/objects/request_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/rate_limit_checks.h"

namespace holdfast::actors {
namespace {

using storage::v1::LimitRow;
using storage::v1::RequestRow;

constexpr size_t kRowMax = RequestLog::kRowRequestsMax;
constexpr int64_t kWindowUs = 1000;

LimitRow Limit() {
  LimitRow limit;
  limit.set_key("k");
  limit.set_algorithm(v1::RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG);
  limit.set_window_us(kWindowUs);
  return limit;
}

RequestRow Row(int64_t time_us, int64_t cost, const std::vector<int64_t>& later = {}, int64_t sequence = 0) {
  RequestRow row;
  row.set_time_us(time_us);
  row.set_sequence(sequence);
  row.set_cost(cost);
  for (int64_t number : later) row.add_later(number);
  return row;
}

TEST(RequestLogTest, RowsAreFilledAndThoseOfOneMomentAreToldApart) {
  RequestLog log(kWindowUs);
  for (size_t i = 0; i < 2 * kRowMax + 1; ++i) {
    log.Add(kNow, 1);
    EXPECT_EQ(log.NewestRowSize(), i % kRowMax + 1);
    EXPECT_EQ(log.NewestRow(Limit()).sequence(), static_cast<int64_t>(i / kRowMax));
    EXPECT_EQ(log.NewestRow(Limit()).time_us(), kNow);
  }
  for (size_t i = 1; i < kRowMax; ++i) log.Add(kNow + 1, 1);
  EXPECT_EQ(log.NewestRow(Limit()).sequence(), 2) << "the row began in the moment before";
  log.Add(kNow + 1, 1);
  EXPECT_EQ(log.NewestRow(Limit()).sequence(), 0);
  EXPECT_EQ(log.NewestRow(Limit()).time_us(), kNow + 1);
}

TEST(RequestLogTest, ARequestMakesItsRowAFewBytesLonger) {
  RequestLog log(kWindowUs);
  log.Add(kNow, 1);
  for (size_t i = 1; i < kRowMax; ++i) {
    const std::string before = log.NewestRow(Limit()).SerializeAsString();
    log.Add(kNow + 100'000 * static_cast<int64_t>(i), 1);
    const RequestRow row = log.NewestRow(Limit());
    EXPECT_EQ(WithoutNewest(row).SerializeAsString(), before);
    EXPECT_LE(row.ByteSizeLong(), before.size() + 6) << i;
  }
}

TEST(RequestLogTest, ATimeThatGoesBackBeginsARow) {
  RequestLog log(kWindowUs);
  log.Add(kNow, 1);
  log.Add(kNow - 1, 1);
  EXPECT_EQ(log.NewestRowSize(), 1u);
  EXPECT_EQ(log.NewestRow(Limit()).time_us(), kNow - 1);
}

TEST(RequestLogTest, ARowGoesWhenAllOfItHasExpired) {
  RequestLog log(kWindowUs);
  for (int i = 0; i < 3; ++i) log.Add(kNow + i, 2);
  EXPECT_FALSE(log.OldestRowExpired(kNow + kWindowUs));
  EXPECT_EQ(log.used(), 6);
  EXPECT_FALSE(log.OldestRowExpired(kNow + kWindowUs + 2));
  EXPECT_EQ(log.used(), 2);
  EXPECT_TRUE(log.OldestRowExpired(kNow + kWindowUs + 3));
  log.DropOldestRow();
  EXPECT_TRUE(log.empty());
  EXPECT_FALSE(log.OldestRowExpired(kNow + kWindowUs + 3));
  EXPECT_EQ(log.used(), 0);
}

TEST(RequestLogTest, AResetTakesTheCostOfARequestAndLeavesItsTime) {
  RequestRow row = Row(kNow, 5, {1, 6, 0, 7, 1, 8});
  ForgetRequests(kNow - 1, &row);
  EXPECT_EQ(row.SerializeAsString(), Row(kNow, 5, {1, 6, 0, 7, 1, 8}).SerializeAsString());
  ForgetRequests(kNow + 1, &row);
  EXPECT_EQ(row.SerializeAsString(), Row(kNow, 0, {1, 0, 0, 0, 1, 8}).SerializeAsString());
  RequestLog log(kWindowUs);
  ASSERT_TRUE(log.AddRow(row));
  EXPECT_EQ(log.used(), 8);
  // The requests that the reset has forgotten cannot be given back.
  EXPECT_EQ(log.GiveBackNewest(10, kNow + 2)->cost, 8);
  EXPECT_EQ(log.GiveBackNewest(2, kNow + 2)->cost, 0);
  EXPECT_EQ(log.used(), 0);
}

TEST(RequestLogTest, AGarbledRowIsRefused) {
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
  for (const RequestRow& row : {Row(kNow, -1), Row(kNow, int64_t{1} << 31), Row(kNow, 1, {}, -1), Row(kNow, 1, {3}),
                                Row(kNow, 1, {-1, 1}), Row(kNow, 1, {1, -1}), Row(kNow, 1, {kLast, 1})}) {
    RequestLog log(kWindowUs);
    EXPECT_FALSE(log.AddRow(row)) << testing::PrintToString(row.SerializeAsString());
    EXPECT_TRUE(log.empty());
  }
}

// Does with random requests what the object does, and reads the rows back now and then.
TEST(RequestLogTest, AgreesWithAPlainListOfRequests) {
  using Requests = std::deque<std::pair<int64_t, int64_t>>;  // times and costs
  for (uint64_t run : simulation::Seeds(200)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    RequestLog log(kWindowUs);
    std::map<std::pair<int64_t, int64_t>, std::string> stored;
    const auto key = [](const RequestRow& row) { return std::pair(row.time_us(), row.sequence()); };
    Requests model;  // those in use
    int64_t now_us = kNow;
    for (int i = 0; i < 400; ++i) {
      now_us += dice.OneIn(50) ? dice.Between(0, 2 * kWindowUs) : dice.Between(0, 12);
      while (!model.empty() && now_us - model.front().first > kWindowUs) model.pop_front();
      while (log.OldestRowExpired(now_us)) {
        stored.erase(key(log.OldestRow(Limit())));
        log.DropOldestRow();
      }
      if (dice.OneIn(10)) {
        for (int64_t units = dice.Between(1, 100); units > 0 && !model.empty();) {
          const RequestRow row = log.NewestRow(Limit());
          stored.erase(key(row));
          const int64_t given_back = std::min(units, model.back().second);
          ASSERT_EQ(log.GiveBackNewest(units, now_us)->cost, model.back().second);
          if ((model.back().second -= given_back) == 0) model.pop_back();
          units -= given_back;
          const RequestRow left = log.empty() ? row : log.NewestRow(Limit());
          if (!log.empty()) stored[key(left)] = left.SerializeAsString();
        }
      } else {
        const int64_t cost = dice.OneIn(3) ? dice.Between(1, 5) : 1;
        log.Add(now_us, cost);
        model.emplace_back(now_us, cost);
        const RequestRow row = log.NewestRow(Limit());
        ASSERT_EQ(row.later().empty(), stored.count(key(row)) == 0) << "two rows have one key";
        stored[key(row)] = row.SerializeAsString();
      }
      if (dice.OneIn(30)) {
        log = RequestLog(kWindowUs);
        for (const auto& [key, bytes] : stored) {
          RequestRow row;
          ASSERT_TRUE(row.ParseFromString(bytes) && log.AddRow(row));
        }
      }
      Requests in_use;
      int64_t used = 0;
      for (size_t j = log.Expired(now_us); j < log.size(); ++j) in_use.emplace_back(log[j].time_us, log[j].cost);
      for (const auto& [time_us, cost] : model) used += cost;
      ASSERT_EQ(in_use, model) << i;
      ASSERT_EQ(log.used(), used);
      ASSERT_LT(log.size(), model.size() + kRowMax) << "of the others there is less than a row";
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
