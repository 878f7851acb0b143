// How long records of requests are kept, and how many.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class RequestExpiryTest : public ScriptedTest {
 protected:
  using Reply = std::shared_ptr<Sent<std::string>>;

  Reply SendAnswer(const std::string& id, const std::string& name = "a") {
    return SendRecorded(name, id, "text", [this](ScriptedObject&, std::string* reply) -> Task<absl::Status> {
      *reply = absl::StrCat("answer", ++answers_, std::string(reply_bytes, 'x'));
      co_return absl::OkStatus();
    });
  }
  Reply Answer(const std::string& id, const std::string& name = "a") {
    auto sent = SendAnswer(id, name);
    node->Settle();
    EXPECT_TRUE(sent->done());
    return sent;
  }
  bool Refused(const std::string& id) {
    auto sent = Answer(id);
    if (sent->ok()) return false;
    EXPECT_THAT(*sent->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_SERVER_OVERLOADED));
    EXPECT_TRUE(HasRetryInfo(*sent->status));
    EXPECT_FALSE(sent->begun);
    return true;
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
  options.records.records_max = kRecords;
  for (bool restarted : {false, true}) {
    Start();
    for (int i = 0; i < kRecords; ++i) SendAnswer(absl::StrCat("id", i), absl::StrCat("object", i % 100));
    node->Settle();
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

// --- The bounds.

TEST_F(RequestExpiryTest, AtTheBoundInNumberNewIdsAreRefusedAndOldOnesReplayed) {
  options.records.records_max = 3;
  Start();
  const std::string first = Answer("one")->response;
  EXPECT_FALSE(Refused("two") || Refused("three"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Refused(absl::StrCat("new", i)));
  EXPECT_EQ(Answer("one")->response, first);
  EXPECT_FALSE(Refused("two"));
  Put("a", "k", "v");
  EXPECT_EQ(Get("a", "k"), "v") << "without an id all goes on";
  // What failed, or asked for no record, takes no place.
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

TEST_F(RequestExpiryTest, AtTheBoundInBytesToo) {
  options.records.bytes_max = 100'000;
  reply_bytes = 30'000;
  Start();
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Refused(absl::StrCat("id", i))) << i;
  EXPECT_TRUE(Refused("more"));
  Start();
  node->Settle();
  EXPECT_TRUE(Refused("more")) << "counted at the start";
  node->Advance(options.records.age * 1.1);
  EXPECT_FALSE(Refused("more"));
}

TEST_F(RequestExpiryTest, ARestartCountsWhatThereIs) {
  options.records.records_max = 4;
  Start();
  EXPECT_FALSE(Refused("one") || Refused("two"));
  Start();
  node->Settle();
  EXPECT_FALSE(Refused("three") || Refused("four"));
  EXPECT_TRUE(Refused("five"));
}

TEST_F(RequestExpiryTest, WhatComesWhileTheyAreCountedIsCountedOnce) {
  options.records.records_max = 4;
  // Durable before they are counted, or after it.
  for (bool durable_before : {true, false}) {
    Start();
    node->Settle();
    EXPECT_FALSE(Refused("one") || Refused("two"));
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
    node->Advance(options.records.age * 1.1);
    EXPECT_EQ(StoredKeys(), 0u);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(Refused(absl::StrCat("new", i)));
    EXPECT_TRUE(Refused("more"));
    node->Advance(options.records.age * 1.1);
  }
}

}  // namespace
}  // namespace holdfast::actors
