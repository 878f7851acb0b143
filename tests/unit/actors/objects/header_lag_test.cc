// The header of an object has its usage and its clock. It is not written with each turn, and still these are never
// lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/objects/user_cache.h"
#include "tests/simulation/seed.h"
#include "tests/unit/actors/node_test.h"
#include "tests/unit/actors/objects/from_wire.h"

namespace holdfast::actors {
namespace {

// The header lags after fewer turns than these since the object was loaded.
constexpr int kManyTurns = 20;

class HeaderLagTest : public NodeTest {
 protected:
  HeaderLagTest() { classes = {&UserCache::Class()}; }

  std::shared_ptr<Sent<v1::UpdateUserResponse>> SendUpdate(const std::string& id, const std::string& name) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_id(id);
    request.mutable_user()->set_name(name);
    request.set_allow_missing(true);
    return Send("cache", &UserCache::UpdateUser, request);
  }
  std::shared_ptr<Sent<v1::DeleteUserResponse>> SendDelete(const std::string& id) {
    v1::DeleteUserRequest request;
    request.set_id(id);
    request.set_allow_missing(true);
    return Send("cache", &UserCache::DeleteUser, request);
  }
  // Returns the time of the update by the object's clock.
  absl::Time Update(const std::string& id, const std::string& name) {
    auto sent = SendUpdate(id, name);
    node->Settle();
    EXPECT_TRUE(sent->ok());
    return FromWire(sent->response.user().update_time());
  }
  void UpdateOften() {
    for (int i = 0; i < kManyTurns; ++i) Update(absl::StrCat("user", i), "name");
  }
  storage::v1::ObjectHeader Stored() { return HeaderOf(UserCache::Class(), "cache").value(); }
  storage::v1::Usage Described() {
    std::optional<absl::StatusOr<ObjectDescription>> description;
    node->host().Describe(Key(UserCache::Class(), "cache"), &UserCache::Class(),
                          [&](absl::StatusOr<ObjectDescription> found) { description = std::move(found); });
    node->Settle();
    EXPECT_TRUE(description && description->ok());
    const auto& header = (*description)->header;
    return header ? header->usage() : storage::v1::Usage();
  }
  // Counts the usage by storage/FORMAT.md.
  void ExpectCounted(const storage::v1::Usage& usage) {
    int64_t bytes = 0;
    int64_t rows = 0;
    for (const auto& [key, value] : KeysOf(UserCache::Class(), "cache")) {
      if (key[0] != storage::kRowKind) continue;
      bytes += static_cast<int64_t>(key.size() + value.size());
      ++rows;
    }
    EXPECT_EQ(usage.size_bytes(), bytes);
    EXPECT_EQ(usage.row_counts().count(1) == 0 ? 0 : usage.row_counts().at(1), rows);
  }
};

TEST_F(HeaderLagTest, AnObjectInUseIsDescribedExactlyWhileItsHeaderIsNotWritten) {
  Start();
  UpdateOften();
  const storage::v1::ObjectHeader before = Stored();
  const size_t points = recording.points[storage::FamilyId::kPacked];
  for (int i = 0; i < 10; ++i) Update(absl::StrCat("new", i), "name");
  EXPECT_EQ(recording.points[storage::FamilyId::kPacked], points + 10) << "something besides the rows was written";
  EXPECT_EQ(Stored().SerializeAsString(), before.SerializeAsString());
  EXPECT_NE(Stored().run(), 0u);
  ExpectCounted(Described());
}

TEST_F(HeaderLagTest, AfterACrashAnObjectIsDescribedExactlyWithoutBeingLoaded) {
  Start();
  UpdateOften();
  for (int i = 0; i < 10; ++i) Update(absl::StrCat("new", i), "name");
  const storage::v1::Usage before = Described();
  Start();
  ASSERT_NE(Stored().run(), 0u);
  ASSERT_NE(Stored().usage().row_counts().at(1), before.row_counts().at(1)) << "the header does not lag";
  ExpectCounted(Described());
  EXPECT_EQ(Find(UserCache::Class(), "cache"), nullptr);
  // The description is also exact while the object is loaded for the first time.
  store.set_cold(true);
  auto sent = SendDelete("none");
  while (Find(UserCache::Class(), "cache") == nullptr) ASSERT_TRUE(node->Step(0));
  ASSERT_EQ(Find(UserCache::Class(), "cache")->state(), Activation::State::kLoading);
  ExpectCounted(Described());
  EXPECT_TRUE(sent->ok());
}

TEST_F(HeaderLagTest, ItIsWrittenWhenTheObjectLeavesMemory) {
  Start();
  UpdateOften();
  node->Advance(options.idle_timeout * 2);
  EXPECT_EQ(Find(UserCache::Class(), "cache"), nullptr);
  EXPECT_EQ(Stored().run(), 0u);
  ExpectCounted(Stored().usage());
  ExpectCounted(Described());
}

TEST_F(HeaderLagTest, ItIsWrittenWhenTheServerStops) {
  Start();
  UpdateOften();
  node->host().Stop();
  node->host().SettleHeaders();
  node->Settle();
  EXPECT_EQ(Stored().run(), 0u);
  ExpectCounted(Stored().usage());
}

TEST_F(HeaderLagTest, AFewTurnsWriteItEach) {
  Start();
  Update("a", "name");
  Update("b", "name");
  EXPECT_EQ(Stored().run(), 0u);
  ExpectCounted(Stored().usage());
}

TEST_F(HeaderLagTest, TheClockDoesNotGoBackOverACrash) {
  for (int crashes = 0; crashes < 3; ++crashes) {
    Start();
    clock.Advance(absl::Minutes(1));
    UpdateOften();
    clock.Advance(absl::Seconds(10));
    const absl::Time last = Update("a", "name");
    EXPECT_EQ(last, clock.Now());
    clock.StepWall(-absl::Hours(1));
    for (int starts = 0; starts <= crashes; ++starts) Start();  // the starts between do not touch the object
    EXPECT_EQ(Update("a", "name"), last);
    clock.Advance(absl::Hours(2));
  }
}

TEST_F(HeaderLagTest, RandomTurnsAndCrashesAreCountedExactly) {
  for (uint64_t run : simulation::Seeds(30)) {
    SCOPED_TRACE(simulation::Replay(run));
    simulation::Dice dice(run);
    families_max = static_cast<int>(dice.Below(2));
    options.idle_timeout = absl::Seconds(dice.Between(1, 5));
    Start();
    for (int i = 0; i < 200; ++i) {
      const std::string id = absl::StrCat("user", dice.Below(5));
      if (dice.OneIn(20)) {
        SendDeleteAll(UserCache::Class(), "cache", false);
      } else if (dice.OneIn(4)) {
        SendDelete(id);
      } else {
        SendUpdate(id, std::string(dice.Below(50), 'n'));
      }
      store.set_cold(dice.OneIn(2));
      for (uint64_t steps = dice.Below(6); steps > 0; --steps) {
        if (!node->Step(dice.Below(1000))) clock.Advance(absl::Milliseconds(300));
      }
      if (!dice.OneIn(25)) continue;
      const bool crash = dice.OneIn(2);
      if (crash) Start();
      store.set_cold(false);
      if (crash) ExpectCounted(Described());
      // This request loads the object.
      auto sent = SendDelete("none");
      node->Settle();
      ASSERT_TRUE(sent->ok());
      ExpectCounted(Described());
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace holdfast::actors
