// The description of an object of class Object: its exact size, and the rest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/objects/plain_fixture.h"

namespace holdfast::actors {
namespace {

class PlainUsageTest : public PlainObjectTest {
 protected:
  using Model = std::map<std::string, std::string>;
  void ExpectUsage(const std::string& name, const Model& model) {
    const ObjectDescription description = Describe(name);
    int64_t bytes = 0;
    for (const auto& [key, value] : model) bytes += static_cast<int64_t>(key.size() + value.size());
    const storage::v1::Usage usage = description.header ? description.header->usage() : storage::v1::Usage();
    EXPECT_EQ(usage.entry_count(), static_cast<int64_t>(model.size()));
    EXPECT_EQ(usage.size_bytes(), bytes);
  }
};

TEST_F(PlainUsageTest, RandomWritesAndCrashesAreCountedExactly) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(3));
    options.idle_timeout = absl::Seconds(dice.Between(1, 5));
    const std::string name = absl::StrCat("object", run);
    // The models after each turn that was sent; the turns take effect in that order.
    std::vector<Model> states = {{}};
    std::vector<std::shared_ptr<Outcome>> turns;
    const auto random_key = [&dice] { return absl::StrCat("key", std::string(dice.Below(3), 'k'), dice.Below(5)); };
    Start();
    for (int i = 0; i < 80; ++i) {
      Model next = states.back();
      switch (dice.Below(6)) {
        case 0:
        case 1: {
          v1::PutEntriesRequest request;
          for (uint64_t n = dice.Between(1, 4); n > 0; --n) {
            v1::Entry* const entry = request.add_entries();
            entry->set_key(random_key());
            entry->set_value(std::string(dice.Below(50), 'v'));
            next[entry->key()] = entry->value();
          }
          turns.push_back(Send(name, &PlainObject::PutEntries, request));
          break;
        }
        case 2: {
          v1::DeleteEntriesRequest request;
          for (uint64_t n = dice.Between(1, 3); n > 0; --n) {
            request.add_keys(random_key());
            next.erase(*request.keys().rbegin());
          }
          turns.push_back(Send(name, &PlainObject::DeleteEntries, request));
          break;
        }
        case 3: {
          v1::ApplyBatchRequest request;
          for (uint64_t n = dice.Between(1, 6); n > 0; --n) {
            const std::string key = random_key();
            if (dice.OneIn(2)) {
              request.add_steps()->set_delete_key(key);
              next.erase(key);
            } else {
              next[key] = std::string(dice.Below(50), 'w');
              request.add_steps()->mutable_put()->set_key(key);
              request.mutable_steps()->rbegin()->mutable_put()->set_value(next[key]);
            }
          }
          turns.push_back(Send(name, &PlainObject::ApplyBatch, request));
          break;
        }
        case 4:
          if (!dice.OneIn(4)) continue;
          next.clear();
          turns.push_back(SendDeleteAll(PlainObject::Class(), name, dice.OneIn(2)));
          break;
        default:
          turns.push_back(SendSetAlarm(name, clock.Now() + absl::Hours(1)));
      }
      states.push_back(next);
      store.set_cold(dice.OneIn(2));
      for (uint64_t steps = dice.Below(8); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(300));
      }
      if (!dice.OneIn(8)) continue;
      // After a crash the store has the state after some of the turns, and the usage counts that state.
      Start();
      store.set_cold(false);
      Model found;
      for (const auto& [key, value] : KeysOf(PlainObject::Class(), name)) {
        if (key[0] == storage::kEntryKind) found[key.substr(1)] = value;
      }
      ASSERT_NE(std::find(states.begin(), states.end(), found), states.end());
      ExpectUsage(name, found);
      states = {found};
      if (HasFailure()) return;
    }
    store.set_cold(false);
    node->Settle();
    ExpectUsage(name, states.back());
    if (HasFailure()) return;
  }
}

TEST_F(PlainUsageTest, DescribesAnObjectThatIsNotThere) {
  Start();
  const ObjectDescription description = Describe("a");
  EXPECT_FALSE(description.header || description.alarm.visible);
  EXPECT_EQ(description.state, Activation::State::kInactive);
  EXPECT_TRUE(description.packed);
  EXPECT_EQ(Find(PlainObject::Class(), "a"), nullptr) << "it was loaded";
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(PlainUsageTest, DescribesWhatIsInMemoryAndWhatIsNot) {
  families_max = 1;
  Start();
  Put("a", "k", "v");
  Put("b", "k", "v");
  const absl::Time alarm = clock.Now() + absl::Hours(1);
  SetAlarm("a", alarm);
  for (bool loaded : {true, false}) {
    EXPECT_EQ(Describe("a").state, loaded ? Activation::State::kActive : Activation::State::kInactive);
    EXPECT_FALSE(Describe("a").packed);
    EXPECT_TRUE(Describe("b").packed);
    EXPECT_EQ(Describe("a").alarm.visible, alarm);
    EXPECT_EQ(Describe("b").alarm.visible, std::nullopt);
    EXPECT_EQ(Describe("a").mailbox_depth, 0u);
    EXPECT_EQ(Describe("a").header->usage().entry_count(), 1);
    node->Advance(options.idle_timeout * 2);
  }
}

TEST_F(PlainUsageTest, ADescriptionShowsOnlyWhatIsDurable) {
  Start();
  SendPut("a", "k", "v");
  auto description = SendDescribe("a");
  node->SettleWithoutCommits();
  EXPECT_FALSE(*description);
  node->Settle();
  ASSERT_TRUE(*description);
  EXPECT_EQ((**description)->header->usage().entry_count(), 1);
}

TEST_F(PlainUsageTest, ADescriptionWhileTheObjectMovesOrIsMadeAnewIsOfTheObject) {
  for (int moves = 0; moves < 2; ++moves) {
    families_max = 0;
    Start();
    Put("a", "k", "v");
    families_max = 1;
    Start();
    if (moves == 1) Put("a", "k", "v");
    auto description = SendDescribe("a");
    // The read comes late: its data are in another place by then.
    if (moves == 0) {
      SendPut("a", "k", "w");
    } else {
      SendDeleteAll(PlainObject::Class(), "a");
      SendPut("a", "k", "w");
    }
    for (int i = 0; i < 10; ++i) {
      node->executor().RunUntilIdle();
      node->executor().EndRound();
      node->commits().RunOne();
      node->family_changes().RunOne();
    }
    node->Settle();
    ASSERT_TRUE(*description);
    ASSERT_TRUE((*description)->ok()) << (*description)->status();
    ASSERT_TRUE((**description)->header) << "as if there were none";
    EXPECT_EQ((**description)->header->usage().entry_count(), 1);
    EXPECT_TRUE(DeleteAll("a").ok());
  }
}

TEST_F(PlainUsageTest, PassivatedSoonItIsUnloadedWhenNothingIsUnderWayAndLosesNothing) {
  Start();
  Put("a", "k", "v");
  node->host().PassivateSoon(Key(PlainObject::Class(), "a"));
  node->Settle();
  EXPECT_EQ(Find(PlainObject::Class(), "a"), nullptr);
  EXPECT_EQ(ValueOf("a", "k"), "v");
  // Other requests come before the read and behind it.
  store.set_cold(true);
  auto before = SendPut("a", "k", "w");
  node->host().PassivateSoon(Key(PlainObject::Class(), "a"));
  auto after = SendPut("a", "l", "w");
  node->Settle();
  store.set_cold(false);
  EXPECT_TRUE(before->ok() && after->ok());
  EXPECT_EQ(ValueOf("a", "k") + ValueOf("a", "l"), "ww");
  node->host().PassivateSoon(Key(PlainObject::Class(), "missing"));
}

}  // namespace
}  // namespace holdfast::actors
