// Records of requests: the time for which they are kept, and the bounds on their bytes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::HasSubstr;

class RequestExpiryTest : public ScriptedTest {
 protected:
  using Reply = std::shared_ptr<Sent<std::string>>;

  Reply SendAnswer(const std::string& id, const storage::ObjectKey& object) {
    return SendRecorded(object, id, "text", [this](ScriptedObject&, std::string* reply) -> Task<absl::Status> {
      *reply = absl::StrCat("answer", absl::Dec(++answers_, absl::kZeroPad8), std::string(reply_bytes, 'x'));
      co_return absl::OkStatus();
    });
  }
  Reply SendAnswer(const std::string& id, const std::string& name = "a") { return SendAnswer(id, Key(scripted, name)); }
  Reply Answer(const std::string& id, const storage::ObjectKey& object) {
    auto sent = SendAnswer(id, object);
    node->Settle();
    EXPECT_TRUE(sent->done());
    return sent;
  }
  // Returns whether a request with this id is refused. `setting` is the setting that the error must name.
  bool Refused(const std::string& id, const storage::ObjectKey& object,
               const std::string& setting = "storage.request_record_bytes_max") {
    auto sent = Answer(id, object);
    if (sent->ok()) return false;
    EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED));
    EXPECT_TRUE(HasRetryInfo(*sent->status));
    EXPECT_FALSE(sent->begun);
    EXPECT_THAT(std::string(sent->status->message()), HasSubstr(setting));
    return true;
  }
  bool Refused(const std::string& id) { return Refused(id, Key(scripted, "a")); }
  Reply Answer(const std::string& id, const std::string& name = "a") { return Answer(id, Key(scripted, name)); }
  storage::ObjectKey InNamespace(const std::string& ns) const { return {ns, scripted.name, "a"}; }
  // Sets the bound so that `count` of the records that are made from here on fit, and not one more.
  void AllowRecords(int64_t count) {
    reply_bytes = 10'000;
    options.records.bytes_max = count * static_cast<int64_t>(reply_bytes);
  }
  int64_t StoredBytes() {
    int64_t bytes = 0;
    for (const auto& [key, value] : recording.DumpFamily(storage::FamilyId::kRequests)) {
      bytes += static_cast<int64_t>(key.size() + value.size());
    }
    return bytes;
  }
  size_t StoredKeys() { return recording.DumpFamily(storage::FamilyId::kRequests).size(); }

  size_t reply_bytes = 0;

 private:
  int answers_ = 0;
};

TEST_F(RequestExpiryTest, ARecordIsKeptForItsAgeAndForgottenSoonAfter) {
  options.records.age = absl::Seconds(100);
  Start();
  const std::string first = Answer("one")->response;
  node->Advance(absl::Seconds(60));
  const std::string second = Answer("two")->response;
  node->Advance(absl::Seconds(40));
  EXPECT_EQ(Answer("one")->response, first) << "forgotten early";
  node->Advance(absl::Seconds(10));
  EXPECT_NE(Answer("one")->response, first);
  EXPECT_EQ(Answer("two")->response, second);
  node->Advance(absl::Seconds(200));
  EXPECT_EQ(StoredKeys(), 0u);
  EXPECT_TRUE(node->host().idle());
}

TEST_F(RequestExpiryTest, TheAgeGoesOnWhileTheServerIsDown) {
  options.records.age = absl::Seconds(100);
  Start();
  const std::string first = Answer("one")->response;
  for (int i = 0; i < 9; ++i) {
    clock.Advance(absl::Seconds(11));
    Start();
    node->Settle();
    EXPECT_EQ(Answer("one")->response, first) << i;
  }
  Crash();
  clock.Advance(absl::Seconds(2));
  Start();
  node->Settle();
  EXPECT_EQ(StoredKeys(), 0u) << "what is too old goes at the start";
  EXPECT_NE(Answer("one")->response, first);
}

TEST_F(RequestExpiryTest, MoreThanOneSweepTakesAllGo) {
  constexpr int kRecords = 2500;
  options.records.age = absl::Seconds(100);
  const auto fill = [this] {
    Start();
    for (int i = 0; i < kRecords; ++i) SendAnswer(absl::StrCat("id", i), absl::StrCat("object", i % 100));
    node->Settle();
  };
  fill();
  options.records.bytes_max = StoredBytes();
  node->Advance(absl::Seconds(110));
  for (bool restarted : {false, true}) {
    fill();
    EXPECT_EQ(StoredKeys(), 2u * kRecords);
    EXPECT_TRUE(Refused("more"));
    if (restarted) Start();
    node->Advance(absl::Seconds(100));
    EXPECT_EQ(StoredKeys(), 2u * kRecords) << "forgotten early";
    EXPECT_TRUE(Refused("more"));
    node->Advance(absl::Seconds(6));
    EXPECT_EQ(StoredKeys(), 0u);
    EXPECT_FALSE(Refused("more"));
    node->Advance(absl::Seconds(110));
    EXPECT_EQ(StoredKeys(), 0u);
  }
}

TEST_F(RequestExpiryTest, TheSweepGoesInStepsAndSleepsUntilThereIsSomethingToDo) {
  constexpr int kRecords = 2500;
  options.records.age = absl::Seconds(100);
  Start();
  for (int i = 0; i < kRecords; ++i) SendAnswer(absl::StrCat("id", i), absl::StrCat("object", i % 100));
  node->Settle();
  const auto walks = [this] { return recording.cursors[storage::FamilyId::kRequests]; };
  const int before = walks();
  node->Advance(absl::Seconds(99));
  EXPECT_LE(walks() - before, 2) << "looks again and again at what is too young";
  clock.Advance(absl::Seconds(2));
  // No commit of the sweep has more records than one step, since other turns wait for it.
  size_t most = 0;
  for (size_t points = recording.points[storage::FamilyId::kRequests]; node->Step(0);) {
    const size_t now = recording.points[storage::FamilyId::kRequests];
    most = std::max(most, now - std::exchange(points, now));
  }
  EXPECT_EQ(StoredKeys(), 0u);
  EXPECT_GT(most, 0u);
  EXPECT_LE(most, 2u * 500);
}

TEST_F(RequestExpiryTest, AClockThatStepsBackForgetsNothingEarly) {
  options.records.age = absl::Seconds(100);
  Start();
  const std::string first = Answer("one")->response;
  clock.Set(clock.Now() - absl::Seconds(50));
  const std::string second = Answer("two")->response;
  Start();
  node->Settle();
  const std::string third = Answer("three")->response;
  node->Advance(absl::Seconds(100));
  EXPECT_EQ(Answer("one")->response, first);
  EXPECT_EQ(Answer("two")->response, second);
  EXPECT_EQ(Answer("three")->response, third);
  node->Advance(absl::Seconds(160));
  EXPECT_EQ(StoredKeys(), 0u);
}

TEST_F(RequestExpiryTest, ACrashInTheMiddleOfASweepForgetsWholeRecords) {
  options.records.age = absl::Seconds(100);
  for (int crash_after = 0; crash_after < 8; ++crash_after) {
    Start();
    node->Settle();
    for (int i = 0; i < 3; ++i) Answer(absl::StrCat("old", crash_after, i));
    node->Advance(absl::Seconds(99));
    const std::string young = Answer("young" + absl::StrCat(crash_after))->response;
    clock.Advance(absl::Seconds(9));
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    Start();
    EXPECT_EQ(StoredKeys() % 2, 0u) << "half a record";
    EXPECT_EQ(Answer("young" + absl::StrCat(crash_after))->response, young);
    node->Advance(absl::Seconds(200));
    EXPECT_EQ(StoredKeys(), 0u);
  }
}

// --- The bounds

TEST_F(RequestExpiryTest, AtTheBoundNewIdsAreRefusedAndOldOnesReplayed) {
  AllowRecords(3);
  Start();
  const std::string first = Answer("one")->response;
  EXPECT_FALSE(Refused("two") || Refused("three"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Refused(absl::StrCat("new", i)));
  EXPECT_EQ(Answer("one")->response, first);
  EXPECT_FALSE(Refused("two"));
  Put("a", "k", "v");
  EXPECT_EQ(Get("a", "k"), "v") << "without an id all goes on";
  // Requests that failed, or that have no record, take no room.
  node->Advance(options.records.age * 1.1);
  for (int i = 0; i < 5; ++i) {
    SendRecorded("a", absl::StrCat("failed", i), "text",
                 [](ScriptedObject&, std::string*) -> Task<absl::Status> { co_return NotFound("fails"); });
    SendRecorded("a", absl::StrCat("denied", i), "text", [](ScriptedObject& self, std::string*) -> Task<absl::Status> {
      self.LeaveNoRecord();
      co_return absl::OkStatus();
    });
  }
  node->Settle();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Refused(absl::StrCat("newer", i)));
  EXPECT_TRUE(Refused("more"));
}

TEST_F(RequestExpiryTest, EveryByteThatIsStoredCounts) {
  Start();
  for (int i = 0; i < 10; ++i) Answer(absl::StrCat("id", i));
  const int64_t stored = StoredBytes();
  for (int64_t bytes_max : {stored, stored + 1}) {
    options.records.bytes_max = bytes_max;
    Start();
    node->Settle();
    EXPECT_EQ(Refused("more"), bytes_max == stored);
  }
}

TEST_F(RequestExpiryTest, ANamespaceAtItsBoundIsRefusedAndNoOther) {
  constexpr char kSetting[] = "storage.request_record_bytes_per_namespace_max";
  AllowRecords(100);
  options.records.namespace_bytes_max = 3 * static_cast<int64_t>(reply_bytes);
  for (bool restarted : {false, true}) {
    Start();
    node->Settle();
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(Refused(absl::StrCat("id", i), InNamespace("greedy"), kSetting)) << i;
    if (restarted) {
      Start();
      node->Settle();
    }
    EXPECT_TRUE(Refused("more", InNamespace("greedy"), kSetting));
    EXPECT_TRUE(Refused("more", InNamespace("greedy"), "\"greedy\""));
    EXPECT_FALSE(Refused("id0", InNamespace("greedy"))) << "a retry";
    // A namespace whose name has a common prefix with another is a different one.
    for (const char* other : {"modest", "greed", "greedy-too", "g"}) {
      for (int i = 0; i < 3; ++i) EXPECT_FALSE(Refused(absl::StrCat("id", i), InNamespace(other), kSetting)) << other;
    }
    node->Advance(options.records.age * 1.1);
    EXPECT_EQ(StoredKeys(), 0u);
    EXPECT_FALSE(Refused("later", InNamespace("greedy"))) << "there is room again";
    node->Advance(options.records.age * 1.1);
  }
}

TEST_F(RequestExpiryTest, ManyNamespacesHaveAPlaceEach) {
  options.records.namespace_bytes_max = 1000;
  Start();
  for (int i = 0; i < 2000; ++i) {
    SendAnswer("one", InNamespace(absl::StrCat("n", i)));
    if (i % 100 == 0) node->Settle();
  }
  node->Settle();
  EXPECT_EQ(StoredKeys(), 4000u);
  for (int i = 0; i < 2000; i += 100) EXPECT_FALSE(Refused("two", InNamespace(absl::StrCat("n", i)))) << i;
}

TEST_F(RequestExpiryTest, ARestartCountsWhatThereIs) {
  AllowRecords(4);
  Start();
  EXPECT_FALSE(Refused("one") || Refused("two"));
  Start();
  node->Settle();
  EXPECT_FALSE(Refused("three") || Refused("four"));
  EXPECT_TRUE(Refused("five"));
}

TEST_F(RequestExpiryTest, ARestartCountsInStepsThatLetOthersRead) {
  constexpr int kRecords = 25'000;
  Start();
  for (int i = 0; i < kRecords; ++i) {
    SendAnswer(absl::StrCat("id", i), absl::StrCat("object", i % 100));
    if (i % 10'000 == 0) node->Settle();
  }
  node->Settle();
  const int64_t stored = StoredBytes();
  options.records.bytes_max = stored;
  Start();
  int steps = 0;
  while (node->reads().RunOne()) {
    ++steps;
    node->executor().RunUntilIdle();
  }
  EXPECT_GE(steps, 4) << "the alarms, and three steps of the count";
  node->Settle();
  EXPECT_TRUE(Refused("more"));
  node->Advance(options.records.age * 1.1);
  EXPECT_EQ(StoredKeys(), 0u);
  EXPECT_FALSE(Refused("more"));
}

TEST_F(RequestExpiryTest, WhatComesWhileTheyAreCountedIsCountedOnce) {
  AllowRecords(4);
  // The new record becomes durable before the old ones are counted, or after it.
  for (bool durable_before : {true, false}) {
    // In the second case the clock was set back meanwhile, so old records have times in the future.
    for (absl::Duration back : {absl::ZeroDuration(), absl::Seconds(100)}) {
      Start();
      node->Settle();
      EXPECT_FALSE(Refused("one") || Refused("two"));
      clock.Set(clock.Now() - back);
      Start();
      auto third = SendAnswer("three");
      node->executor().EndRound();
      if (durable_before) {
        ASSERT_TRUE(node->commits().RunOne());
      }
      EXPECT_EQ(node->reads().waiting(), 2u) << "alarms and records are being read";
      node->Settle();
      EXPECT_TRUE(third->ok());
      EXPECT_FALSE(Refused("four"));
      EXPECT_TRUE(Refused("five"));
      node->Advance(options.records.age * 1.1 + back);
      EXPECT_EQ(StoredKeys(), 0u);
      for (int i = 0; i < 4; ++i) EXPECT_FALSE(Refused(absl::StrCat("new", i)));
      EXPECT_TRUE(Refused("more"));
      node->Advance(options.records.age * 1.1);
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
