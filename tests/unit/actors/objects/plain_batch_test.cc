// ApplyBatch checks all conditions, then takes all steps, in one commit; or does nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/wire/entry.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::HasSubstr;

class PlainBatchTest : public PlainObjectTest {
 protected:
  static void AddPut(v1::ApplyBatchRequest* batch, const std::string& key, const std::string& value) {
    v1::Entry* const entry = batch->add_steps()->mutable_put();
    entry->set_key(key);
    entry->set_value(value);
  }
  static void AddEtag(v1::ApplyBatchRequest* batch, const std::string& key, const std::string& etag) {
    v1::Entry* const entry = batch->add_preconditions()->mutable_etag_equals();
    entry->set_key(key);
    entry->set_etag(etag);
  }
  absl::Status Apply(const v1::ApplyBatchRequest& batch) { return *Ask("a", &PlainObject::ApplyBatch, batch)->status; }
};

TEST_F(PlainBatchTest, LaterStepsSeeEarlierOnes) {
  Start();
  Put("a", "old", "v");
  v1::ApplyBatchRequest batch;
  AddPut(&batch, "put then deleted", "v");
  batch.add_steps()->set_delete_key("put then deleted");
  batch.add_steps()->set_delete_key("old");
  AddPut(&batch, "old", "new");
  AddPut(&batch, "twice", "1");
  AddPut(&batch, "twice", "2");
  batch.add_steps()->set_delete_key("missing");
  SetTimestamp(absl::ToUnixMicros(clock.Now() + absl::Hours(1)), batch.add_steps()->mutable_set_alarm());
  batch.add_steps()->set_delete_alarm(true);
  const absl::Time alarm = clock.Now() + absl::Hours(2);
  SetTimestamp(absl::ToUnixMicros(alarm), batch.add_steps()->mutable_set_alarm());
  EXPECT_TRUE(Apply(batch).ok());
  Start();
  EXPECT_EQ(Get("a", "put then deleted"), std::nullopt);
  EXPECT_EQ(ValueOf("a", "old"), "new");
  EXPECT_EQ(ValueOf("a", "twice"), "2");
  EXPECT_EQ(AlarmOf("a"), alarm);
}

TEST_F(PlainBatchTest, ConditionsAreOfWhatWasThereBeforeTheFirstStep) {
  Start();
  v1::ApplyBatchRequest batch;
  batch.add_preconditions()->set_key_absent("k");
  AddPut(&batch, "k", "v");
  EXPECT_TRUE(Apply(batch).ok());
  EXPECT_THAT(Apply(batch), Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
  batch.Clear();
  batch.add_preconditions()->set_key_present("k");
  AddEtag(&batch, "k", Get("a", "k")->etag());
  batch.add_steps()->set_delete_key("k");
  EXPECT_TRUE(Apply(batch).ok());
  EXPECT_THAT(Apply(batch), Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
}

TEST_F(PlainBatchTest, TheFirstThatDoesNotHoldIsNamedAndNothingIsDone) {
  Start();
  v1::ApplyBatchRequest batch;
  AddPut(&batch, "k", "v");
  batch.add_preconditions()->set_key_present("k");
  EXPECT_THAT(Apply(batch), Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
  EXPECT_EQ(recording.EntryCount(), 0u) << "an object was made";
  batch.Clear();
  Put("a", "k", "v");
  AddPut(&batch, "k", "changed");
  SetTimestamp(0, batch.add_steps()->mutable_set_alarm());
  batch.add_preconditions()->set_key_present("k");
  AddEtag(&batch, "k", EtagOf("another"));
  batch.add_preconditions()->set_key_absent("k");
  const int commits = recording.commits;
  absl::Status status = Apply(batch);
  EXPECT_THAT(status, Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH));
  EXPECT_THAT(std::string(status.message()), HasSubstr("preconditions[1]"));
  batch.mutable_preconditions()->SwapElements(1, 2);
  status = Apply(batch);
  EXPECT_THAT(status, Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_PRECONDITION_FAILED));
  EXPECT_THAT(std::string(status.message()), HasSubstr("preconditions[1]"));
  // The condition names an etag of a key that does not exist.
  batch.clear_preconditions();
  AddEtag(&batch, "missing", EtagOf(""));
  EXPECT_THAT(Apply(batch), Fails(absl::StatusCode::kAborted, v1::ERROR_REASON_ETAG_MISMATCH));
  EXPECT_EQ(recording.commits, commits);
  EXPECT_EQ(ValueOf("a", "k"), "v");
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
}

TEST_F(PlainBatchTest, WhatIsMalformedIsRefusedByItsField) {
  Start();
  v1::ApplyBatchRequest batch;
  EXPECT_THAT(Apply(batch), IsInvalid("steps"));
  batch.add_steps();
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0]"));
  batch.mutable_steps(0)->set_delete_alarm(false);
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0].delete_alarm"));
  batch.mutable_steps(0)->mutable_set_alarm()->set_nanos(-1);
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0].set_alarm"));
  batch.mutable_steps(0)->set_delete_key("");
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0].delete_key"));
  batch.mutable_steps(0)->mutable_put()->set_key(std::string(2049, 'k'));
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0].put.key"));
  batch.mutable_steps(0)->mutable_put()->set_key("k");
  batch.mutable_steps(0)->mutable_put()->set_value(std::string((2 << 20) + 1, 'v'));
  EXPECT_THAT(Apply(batch), IsInvalid("steps[0].put.value"));
  batch.mutable_steps(0)->set_delete_key("k");
  batch.add_preconditions();
  EXPECT_THAT(Apply(batch), IsInvalid("preconditions[0]"));
  batch.mutable_preconditions(0)->set_key_absent("");
  EXPECT_THAT(Apply(batch), IsInvalid("preconditions[0].key"));
  batch.mutable_preconditions(0)->mutable_etag_equals()->set_key("k");
  EXPECT_THAT(Apply(batch), IsInvalid("preconditions[0].etag_equals.etag"));
  batch.mutable_preconditions(0)->set_key_absent("k");
  while (batch.preconditions_size() < 129) *batch.add_preconditions() = batch.preconditions(0);
  EXPECT_THAT(Apply(batch), IsInvalid("preconditions"));
  batch.mutable_preconditions()->DeleteSubrange(128, 1);
  while (batch.steps_size() < 129) AddPut(&batch, absl::StrCat("key", batch.steps_size()), "v");
  EXPECT_THAT(Apply(batch), IsInvalid("steps"));
  EXPECT_EQ(recording.EntryCount(), 0u);
  batch.mutable_steps()->DeleteSubrange(128, 1);
  EXPECT_TRUE(Apply(batch).ok());
  EXPECT_EQ(ValueOf("a", "key127"), "v");
}

TEST_F(PlainBatchTest, ItIsOneCommitWhateverStepACrashComesAt) {
  bool seen_none = false;
  bool seen_all = false;
  for (int crash_after = 0; crash_after < 16; ++crash_after) {
    SCOPED_TRACE(crash_after);
    Start();
    Put("a", "old", "v");
    DeleteAlarm("a");
    store.set_cold(true);
    v1::ApplyBatchRequest batch;
    batch.set_request_id(absl::StrCat("id", crash_after));
    AddPut(&batch, "new", "v");
    batch.add_steps()->set_delete_key("old");
    SetTimestamp(absl::ToUnixMicros(clock.Now() + absl::Hours(1)), batch.add_steps()->mutable_set_alarm());
    auto sent = Send("a", &PlainObject::ApplyBatch, batch);
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool answered = sent->ok();
    store.set_cold(false);
    Start();
    const bool done = Get("a", "new").has_value();
    EXPECT_EQ(Get("a", "old").has_value(), !done);
    EXPECT_EQ(AlarmOf("a").has_value(), done);
    EXPECT_TRUE(done || !answered);
    (done ? seen_all : seen_none) = true;
    // The retry completes the batch, once.
    EXPECT_TRUE(Apply(batch).ok());
    EXPECT_TRUE(Get("a", "new"));
    EXPECT_TRUE(DeleteAll("a").ok());
  }
  EXPECT_TRUE(seen_none && seen_all);
}

TEST_F(PlainBatchTest, RandomBatchesDoWhatAModelDoes) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2));
    Start();
    EXPECT_TRUE(DeleteAll("a").ok());
    std::map<std::string, std::string> model;
    const auto random_key = [&dice] { return absl::StrCat("k", dice.Below(6)); };
    for (int i = 0; i < 40; ++i) {
      v1::ApplyBatchRequest batch;
      bool holds = true;
      auto after = model;
      for (uint64_t n = dice.Below(3); n > 0; --n) {
        const std::string key = random_key();
        const auto it = model.find(key);
        switch (dice.Below(3)) {
          case 0:
            batch.add_preconditions()->set_key_absent(key);
            holds &= it == model.end();
            break;
          case 1:
            batch.add_preconditions()->set_key_present(key);
            holds &= it != model.end();
            break;
          default:
            AddEtag(&batch, key, it == model.end() || dice.OneIn(3) ? EtagOf("other") : EtagOf(it->second));
            holds &= it != model.end() && batch.preconditions().rbegin()->etag_equals().etag() == EtagOf(it->second);
        }
      }
      for (uint64_t n = dice.Between(1, 6); n > 0; --n) {
        const std::string key = random_key();
        if (dice.OneIn(3)) {
          batch.add_steps()->set_delete_key(key);
          after.erase(key);
        } else {
          after[key] = absl::StrCat(std::string(dice.Below(20), 'v'), i);
          AddPut(&batch, key, after[key]);
        }
      }
      store.set_cold(dice.OneIn(2));
      ASSERT_EQ(Apply(batch).ok(), holds) << batch.ShortDebugString();
      if (holds) model = after;
      if (dice.OneIn(10)) Start();
      for (int k = 0; k < 6; ++k) {
        const auto entry = Get("a", absl::StrCat("k", k));
        const auto it = model.find(absl::StrCat("k", k));
        ASSERT_EQ(entry.has_value(), it != model.end());
        if (entry) ASSERT_EQ(entry->value(), it->second);
      }
      store.set_cold(false);
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
