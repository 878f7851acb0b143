// The requests of a sliding-window log lie in rows of several requests: the rows hold what was counted, whatever
// happens, and rows that version 0 has written are as good.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/rate_limiter_fixture.h"

namespace holdfast::actors {
namespace {

using Window = std::pair<std::string, int64_t>;            // the key, and the length in microseconds
using Requests = std::deque<std::pair<int64_t, int64_t>>;  // times and costs
constexpr size_t kRowMax = RequestLog::kRowRequestsMax;

class RateLimiterRowsTest : public RateLimiterTest {
 protected:
  int64_t NowUs() { return absl::ToUnixMicros(clock.Now()); }
  // Returns the stored requests that are in use, by their windows.
  std::map<Window, Requests> InUse() {
    std::map<Window, Requests> in_use;
    for (const storage::v1::RequestRow& row : RequestRows()) {
      RequestLog log(row.window_us());
      EXPECT_TRUE(log.AddRow(row));
      for (size_t i = log.Expired(NowUs()); i < log.size(); ++i) {
        if (log[i].cost > 0) in_use[{row.key(), row.window_us()}].emplace_back(log[i].time_us, log[i].cost);
      }
    }
    return in_use;
  }
};

// The plainest log there can be.
class ModelOfLogs {
 public:
  std::map<Window, Requests> InUse(int64_t now_us) {
    for (auto& [window, requests] : logs_) {
      while (!requests.empty() && now_us - requests.front().first > window.second) requests.pop_front();
    }
    std::erase_if(logs_, [](const auto& log) { return log.second.empty(); });
    return logs_;
  }
  int64_t Used(const Window& window, int64_t now_us) {
    int64_t used = 0;
    const auto in_use = InUse(now_us);
    const auto log = in_use.find(window);
    if (log == in_use.end()) return 0;
    for (const auto& [time_us, cost] : log->second) used += cost;
    return used;
  }
  void Count(const Window& window, int64_t now_us, int64_t cost) { logs_[window].emplace_back(now_us, cost); }
  void GiveBack(const Window& window, int64_t now_us, int64_t units) {
    (void)InUse(now_us);
    Requests& requests = logs_[window];
    while (units > 0 && !requests.empty()) {
      const int64_t given_back = std::min(units, requests.back().second);
      units -= given_back;
      if ((requests.back().second -= given_back) == 0) requests.pop_back();
    }
  }
  void Reset(const std::string& key) {
    std::erase_if(logs_, [&](const auto& log) { return log.first.first == key; });
  }

 private:
  std::map<Window, Requests> logs_;
};

TEST_F(RateLimiterRowsTest, RowsHoldWhatAModelHoldsThroughGivingBackExpiryResetsCrashesAndVersion0) {
  size_t rows_most = 0;
  size_t lost = 0;
  for (uint64_t run : simulation::Seeds(25)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    Start();
    SendCleanup(RateLimiter::Class(), "api");
    node->Settle();
    ModelOfLogs model;
    const int64_t limit = dice.Between(30, 200);
    for (int step = 0; step < 60; ++step) {
      const Window window{absl::StrCat("key", dice.Below(2)), dice.Between(1, 2) * 10'000'000};
      const auto check = [&](int64_t cost) {
        return Limit(window.first, limit, absl::Microseconds(window.second), kLog, cost);
      };
      switch (dice.Below(12)) {
        case 0:
          node->Advance(absl::Milliseconds(dice.Below(25'000)));
          break;
        case 1: {
          const int64_t units = dice.Between(1, std::min<int64_t>(limit, 80));
          const auto reply = Check(check(-units));
          model.GiveBack(window, NowUs(), units);
          ASSERT_EQ(reply.remaining(), limit - model.Used(window, NowUs()));
          break;
        }
        case 2:
          if (!dice.OneIn(3)) break;
          Reset(window.first);
          model.Reset(window.first);
          break;
        case 3:
          Start();
          break;
        case 4:
          // As if the program had been of version 0 until now.
          Crash();
          if (HeaderOf(RateLimiter::Class(), "api")) MakeVersion0();
          Start();
          break;
        case 5: {
          // A crash comes while requests are on their way: those that were answered are there.
          const int64_t used = model.Used(window, NowUs());
          std::vector<std::shared_ptr<Sent<v1::CheckLimitResponse>>> sent;
          for (uint64_t n = dice.Below(50); n > 0; --n) {
            sent.push_back(Send("api", &RateLimiter::CheckLimit, CheckOf(check(1))));
          }
          for (uint64_t steps = dice.Below(40); steps > 0; --steps) {
            if (dice.OneIn(2) || !node->commits().RunOne()) node->Step(0);
          }
          int64_t answered = 0;
          for (const auto& request : sent) answered += request->ok() && request->response.allowed() ? 1 : 0;
          Start();
          const int64_t found =
              static_cast<int64_t>(InUse()[window].size()) - static_cast<int64_t>(model.InUse(NowUs())[window].size());
          ASSERT_GE(found, answered);
          ASSERT_LE(found, std::min<int64_t>(static_cast<int64_t>(sent.size()), limit - used));
          lost += sent.size() - static_cast<size_t>(found);
          for (int64_t i = 0; i < found; ++i) model.Count(window, NowUs(), 1);
          break;
        }
        default:
          for (uint64_t n = dice.Below(50); n > 0; --n) {
            const int64_t cost = dice.OneIn(4) ? dice.Between(1, 5) : 1;
            const bool allowed = model.Used(window, NowUs()) + cost <= limit;
            const auto reply = Check(check(cost));
            ASSERT_EQ(reply.allowed(), allowed);
            if (allowed) model.Count(window, NowUs(), cost);
            ASSERT_EQ(reply.remaining(), limit - model.Used(window, NowUs()));
            node->Advance(absl::Microseconds(dice.OneIn(3) ? 0 : dice.Below(150'000)));
          }
      }
      ASSERT_EQ(InUse(), model.InUse(NowUs())) << "step " << step;
      rows_most = std::max(rows_most, LogRows());
    }
    node->Advance(absl::Minutes(2));
    EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
    EXPECT_EQ(recording.EntryCount(), 0u);
  }
  EXPECT_GT(rows_most, 4u);
  EXPECT_GT(lost, 0u) << "no crash came before a commit";
}

// --- Rows of version 0

TEST_F(RateLimiterRowsTest, ALogOfVersion0IsGoneOnWith) {
  const v1::RateLimit check = Limit("k", 200, absl::Seconds(100));
  for (const bool reset : {false, true}) {
    Start();
    for (int i = 0; i < 100; ++i) {
      Check(check);
      node->Advance(absl::Milliseconds(i % 3));
    }
    const auto before = LoggedRequests();
    Crash();
    MakeVersion0();
    EXPECT_EQ(LogRows(), 100u);
    EXPECT_EQ(LoggedRequests(), before);
    Start();
    EXPECT_EQ(Check(check, /*peek=*/true).remaining(), 99);
    EXPECT_EQ(HeaderOf(RateLimiter::Class(), "api")->schema_version(), 1);
    EXPECT_EQ(LogRows(), 100u) << "the migration rewrites nothing";
    for (size_t i = 0; i < kRowMax - 1; ++i) Check(check);
    EXPECT_EQ(LogRows(), 100u) << "the newest row gets the next requests";
    Check(check);
    EXPECT_EQ(LogRows(), 101u);
    Start();
    EXPECT_EQ(Check(check, /*peek=*/true).remaining(), 99 - static_cast<int64_t>(kRowMax));
    Check(Limit("k", 200, absl::Seconds(100), kLog, -static_cast<int64_t>(kRowMax) - 10));
    EXPECT_EQ(LogRows(), 90u);
    EXPECT_EQ(LoggedRequests().size(), 90u);
    if (reset) {
      Reset("k");
      EXPECT_EQ(Rows(), std::make_pair(size_t{0}, size_t{0}));
      continue;
    }
    clock.Advance(absl::Seconds(101));
    Check(check);
    EXPECT_EQ(LogRows(), 1u) << "they expire";
    node->Advance(absl::Minutes(4));
    EXPECT_EQ(recording.EntryCount(), 0u);
  }
}

// The runtime counts what the object stores as it is written; a load after a crash counts all of it.
TEST_F(RateLimiterRowsTest, TheUsageIsThatOfTheRows) {
  Start();
  const auto usage = [this] {
    node->Advance(absl::Seconds(20));
    EXPECT_EQ(Find(RateLimiter::Class(), "api"), nullptr) << "it is in memory, and the header lags";
    return HeaderOf(RateLimiter::Class(), "api")->usage();
  };
  for (int64_t i = 0; i < 100; ++i) Check(Limit("k", 1'000, absl::Hours(1), kLog, 1 + i % 3));
  Check(Limit("k", 1'000, absl::Hours(1), kLog, -70));
  const storage::v1::Usage counted = usage();
  int64_t bytes = 0;
  for (const auto& [key, value] : KeysOf(RateLimiter::Class(), "api")) {
    if (key[0] == storage::kRowKind || key[0] == storage::kIndexKind) {
      bytes += static_cast<int64_t>(key.size() + value.size());
    }
  }
  EXPECT_EQ(counted.size_bytes(), bytes);
  EXPECT_EQ(counted.row_counts().at(1), static_cast<int64_t>(LogRows()));
}

TEST_F(RateLimiterRowsTest, ALogOfVersion0IsNeverTooLargeForTheMigration) {
  constexpr int64_t kRequests = 5'000;
  Start();
  for (int64_t i = 0; i < kRequests; ++i) {
    Send("api", &RateLimiter::CheckLimit, CheckOf(Limit("k", 100'000, absl::Hours(1))));
  }
  node->Settle();
  Crash();
  MakeVersion0();
  options.turn_bytes_max = 16 << 10;
  Start();
  EXPECT_EQ(Check(Limit("k", 100'000, absl::Hours(1))).remaining(), 100'000 - kRequests - 1);
  EXPECT_EQ(HeaderOf(RateLimiter::Class(), "api")->schema_version(), 1);
}

TEST_F(RateLimiterRowsTest, AGarbledRowIsDataLossAndOtherWindowsWork) {
  Start();
  Check(Limit("k", 10, absl::Seconds(100)));
  Check(Limit("other", 10, absl::Seconds(100)));
  Crash();
  storage::WriteSet object;
  for (const auto& [key, value] : KeysOf(RateLimiter::Class(), "api")) {
    storage::v1::RequestRow row;
    if (key.substr(0, 3) != std::string("\x20\x00\x01", 3) || !row.ParseFromString(value) || row.key() != "k") continue;
    row.add_later(1);
    object.Put(key, row.SerializeAsString());
  }
  WriteToStore(object);
  Start();
  v1::ResetLimitRequest reset;
  reset.set_key("k");
  EXPECT_EQ(Ask("api", &RateLimiter::CheckLimit, CheckOf(Limit("k", 10, absl::Seconds(100))))->status->code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Ask("api", &RateLimiter::ResetLimit, reset)->status->code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Check(Limit("other", 10, absl::Seconds(100))).remaining(), 8);
}

}  // namespace
}  // namespace holdfast::actors
