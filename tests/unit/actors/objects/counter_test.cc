#include "actors/objects/counter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/node_test.h"

namespace holdfast::actors {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

class CounterTest : public NodeTest {
 protected:
  CounterTest() { classes = {&Counter::Class()}; }

  std::shared_ptr<Sent<v1::IncrementResponse>> SendIncrement(const std::string& name, int64_t amount = 1) {
    v1::IncrementRequest request;
    request.set_amount(amount);
    return Send(name, &Counter::Increment, request);
  }
  std::shared_ptr<Sent<v1::GetUniqueNumberResponse>> SendUnique(const std::string& name) {
    return Send(name, &Counter::GetUniqueNumber, v1::GetUniqueNumberRequest());
  }
  int64_t Increment(const std::string& name, int64_t amount = 1) {
    auto sent = SendIncrement(name, amount);
    node->Settle();
    EXPECT_TRUE(sent->ok());
    return sent->response.value();
  }
  int64_t Value(const std::string& name) {
    auto sent = Ask(name, &Counter::GetValue, v1::GetValueRequest());
    EXPECT_TRUE(sent->ok());
    return sent->response.value();
  }
  int64_t Unique(const std::string& name) {
    auto sent = Ask(name, &Counter::GetUniqueNumber, v1::GetUniqueNumberRequest());
    EXPECT_TRUE(sent->ok());
    return sent->response.number();
  }
  int64_t Reset(const std::string& name, int64_t value) {
    v1::ResetCounterRequest request;
    request.set_value(value);
    auto sent = Ask(name, &Counter::ResetCounter, request);
    EXPECT_TRUE(sent->ok());
    return sent->response.previous_value();
  }
  absl::Status Overflowing(const std::string& name, int64_t amount) {
    auto sent = SendIncrement(name, amount);
    node->Settle();
    return *sent->status;
  }
};

TEST_F(CounterTest, BeginsAt0AndReadingStoresNothing) {
  Start();
  EXPECT_EQ(Value("a"), 0);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(CounterTest, WithoutAnAmountAddsOne) {
  Start();
  auto sent = Ask("a", &Counter::Increment, v1::IncrementRequest());
  EXPECT_EQ(sent->response.value(), 1);
}

TEST_F(CounterTest, AddsAnyAmount) {
  Start();
  EXPECT_EQ(Increment("a", 5), 5);
  EXPECT_EQ(Increment("a", -7), -2);
  EXPECT_EQ(Increment("a", 0), -2);
  EXPECT_EQ(Value("a"), -2);
  EXPECT_EQ(Value("b"), 0);
}

TEST_F(CounterTest, AddingNothingStoresNothing) {
  Start();
  EXPECT_EQ(Increment("a", 0), 0);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(CounterTest, ASumThatDoesNotFitIsRefusedAtBothEndsAndTheValueUnchanged) {
  Start();
  Reset("a", kMax - 1);
  EXPECT_EQ(Increment("a"), kMax);
  for (int64_t amount : {int64_t{1}, int64_t{2}, kMax}) {
    EXPECT_THAT(Overflowing("a", amount), Fails(absl::StatusCode::kOutOfRange, v1::ERROR_REASON_COUNTER_OVERFLOW));
    EXPECT_EQ(Value("a"), kMax);
  }
  EXPECT_EQ(Increment("a", kMin), -1);
  Reset("a", kMin + 1);
  EXPECT_EQ(Increment("a", -1), kMin);
  for (int64_t amount : {int64_t{-1}, int64_t{-2}, kMin}) {
    EXPECT_THAT(Overflowing("a", amount), Fails(absl::StatusCode::kOutOfRange, v1::ERROR_REASON_COUNTER_OVERFLOW));
    EXPECT_EQ(Value("a"), kMin);
  }
  EXPECT_EQ(Increment("a", kMax), -1);
  Start();
  EXPECT_EQ(Value("a"), -1);
}

TEST_F(CounterTest, ResetSetsTheValueAndReturnsTheOneBefore) {
  Start();
  EXPECT_EQ(Reset("a", 42), 0);
  EXPECT_EQ(Reset("a", kMin), 42);
  EXPECT_EQ(Reset("a", 0), kMin);
  EXPECT_EQ(Value("a"), 0);
}

TEST_F(CounterTest, TheValueSurvivesPassivationAndARestart) {
  Start();
  Increment("a", 41);
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(Find(Counter::Class(), "a"), nullptr);
  EXPECT_EQ(Increment("a"), 42);
  Start();
  EXPECT_EQ(Value("a"), 42);
}

TEST_F(CounterTest, AThousandIncrementsInOneBatchAreOnePut) {
  families_max = 1;
  Start();
  Increment("a");
  node->Settle();
  const auto* activation = Find(Counter::Class(), "a");
  ASSERT_FALSE(activation->packed());
  const int commits = recording.commits;
  recording.points.clear();
  std::vector<std::shared_ptr<Sent<v1::IncrementResponse>>> sent;
  for (int i = 0; i < 1000; ++i) sent.push_back(SendIncrement("a"));
  node->Settle();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(sent[static_cast<size_t>(i)]->ok());
    EXPECT_EQ(sent[static_cast<size_t>(i)]->response.value(), i + 2);
  }
  EXPECT_EQ(recording.commits, commits + 1);
  size_t points = 0;
  for (const auto& [family, count] : recording.points) points += count;
  EXPECT_EQ(points, 3u) << "the value, which takes a byte more than before; so the header, and the clock of the run";
}

TEST_F(CounterTest, AReplyWaitsUntilItsValueIsDurableAndSoDoesARead) {
  Start();
  auto increment = SendIncrement("a");
  auto value = Send("a", &Counter::GetValue, v1::GetValueRequest());
  auto unique = SendUnique("a");
  node->SettleWithoutCommits();
  EXPECT_FALSE(increment->done() || value->done() || unique->done());
  node->Settle();
  EXPECT_EQ(value->response.value(), 1);
}

// --- Unique numbers

TEST_F(CounterTest, UniqueNumbersCountFrom0) {
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Unique("a"), i);
  EXPECT_EQ(Unique("b"), 0);
}

TEST_F(CounterTest, UniqueNumbersAndTheValueDoNotTouchEachOther) {
  Start();
  Unique("a");
  Increment("a", 100);
  EXPECT_EQ(Unique("a"), 1);
  Reset("a", 0);
  EXPECT_EQ(Unique("a"), 2);
  EXPECT_EQ(Value("a"), 0);
  Start();
  EXPECT_EQ(Unique("a"), 3);
}

TEST_F(CounterTest, UniqueNumbersBeginAnewOnlyWhenTheObjectIsDeleted) {
  Start();
  Unique("a");
  Unique("a");
  SendDeleteAll(Counter::Class(), "a");
  node->Settle();
  EXPECT_EQ(Unique("a"), 0);
}

TEST_F(CounterTest, ManyAtOnceAreAllDifferent) {
  store.set_cold(true);
  Start();
  std::vector<std::shared_ptr<Sent<v1::GetUniqueNumberResponse>>> sent;
  for (int i = 0; i < 500; ++i) sent.push_back(SendUnique("a"));
  node->Settle();
  std::set<int64_t> numbers;
  for (const auto& outcome : sent) EXPECT_TRUE(numbers.insert(outcome->response.number()).second);
  EXPECT_EQ(*numbers.rbegin(), 499);
}

TEST_F(CounterTest, NoNumberIsGivenTwiceAndNoIncrementIsLostAcrossCrashes) {
  for (uint64_t run : simulation::Seeds(40)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2) * 1000);
    options.idle_timeout = absl::Milliseconds(200);
    const std::string name = absl::StrCat("counter", run);
    std::set<int64_t> given;
    int64_t acknowledged = 0;
    int64_t sent_increments = 0;
    Start();
    for (int life = 0; life < 5; ++life) {
      std::vector<std::shared_ptr<Sent<v1::GetUniqueNumberResponse>>> numbers;
      std::vector<std::shared_ptr<Sent<v1::IncrementResponse>>> increments;
      for (int i = 0; i < 20; ++i) {
        numbers.push_back(SendUnique(name));
        increments.push_back(SendIncrement(name));
        ++sent_increments;
        for (uint64_t steps = dice.Below(5); steps > 0; --steps) {
          if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(50));
        }
      }
      for (const auto& outcome : numbers) {
        if (outcome->ok()) EXPECT_TRUE(given.insert(outcome->response.number()).second) << "given twice";
      }
      for (const auto& outcome : increments) {
        if (outcome->ok()) ++acknowledged;
      }
      Start();
    }
    EXPECT_FALSE(given.contains(Unique(name)));
    EXPECT_GE(Value(name), acknowledged);
    EXPECT_LE(Value(name), sent_increments);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::actors
