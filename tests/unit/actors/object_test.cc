// The runtime's data about an object besides the data of its class: its clock, its header and its place in the catalog.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

class ObjectTest : public ScriptedTest {
 protected:
  // Returns the object's clock, which is stored if the turn also writes.
  absl::Time NowOf(const std::string& name, bool write) {
    absl::Time now;
    EXPECT_TRUE(Ask(name, [&now, write](ScriptedObject& self) -> Task<absl::Status> {
                  now = self.Now();
                  if (write) co_return self.storage().Put("time", absl::FormatTime(now));
                  co_return absl::OkStatus();
                }).ok());
    return now;
  }
};

// --- The object's clock

TEST_F(ObjectTest, ItsClockIsTheWallClockInWholeMicroseconds) {
  Start();
  clock.Advance(absl::Nanoseconds(1'234'567));
  const absl::Time now = NowOf("a", false);
  EXPECT_EQ(now, absl::FromUnixMicros(absl::ToUnixMicros(clock.Now())));
  EXPECT_LE(now, clock.Now());
}

TEST_F(ObjectTest, ItsClockGoesOnEvenlyThoughTheWallClockSteps) {
  Start();
  const absl::Time before = NowOf("a", true);
  clock.StepWall(-absl::Hours(1));
  EXPECT_EQ(NowOf("a", false), before);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(NowOf("a", false), before + absl::Seconds(1));
  clock.StepWall(absl::Hours(3));
  EXPECT_EQ(NowOf("a", true), before + absl::Seconds(1));
  // The next load begins at the wall clock, if that is ahead.
  node->Advance(absl::Seconds(30));
  ASSERT_EQ(Find("a"), nullptr);
  EXPECT_EQ(NowOf("a", false), clock.Wall());
}

TEST_F(ObjectTest, AStoredClockThatIsADayAheadIsSetBack) {
  Start();
  const absl::Time stored = NowOf("a", true);
  clock.StepWall(-absl::Hours(24));
  Start();
  EXPECT_EQ(NowOf("a", true), stored);
  clock.StepWall(-absl::Microseconds(1));
  Start();
  EXPECT_EQ(NowOf("a", true), clock.Wall());
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(NowOf("a", true), clock.Wall());
  Start();
  EXPECT_EQ(NowOf("a", true), clock.Wall());
}

TEST_F(ObjectTest, ItsClockDoesNotGoBackWithinATurn) {
  Start();
  auto sent = Send("a", [this](ScriptedObject& self) -> Task<absl::Status> {
    const absl::Time before = self.Now();
    clock.StepWall(-absl::Seconds(5));
    EXPECT_GE(self.Now(), before);
    co_return absl::OkStatus();
  });
  EXPECT_TRUE(sent->ok());
}

TEST_F(ObjectTest, ATimeThatWasStoredIsNeverInTheFutureAgainAcrossPassivation) {
  Start();
  const absl::Time stored = NowOf("a", true);
  node->Advance(absl::Seconds(30));
  ASSERT_EQ(Find("a"), nullptr);
  clock.StepWall(-absl::Hours(1));
  EXPECT_EQ(NowOf("a", false), stored);
}

TEST_F(ObjectTest, ATimeThatWasStoredIsNeverInTheFutureAgainAcrossARestart) {
  Start();
  const absl::Time stored = NowOf("a", true);
  clock.StepWall(-absl::Hours(24));
  Start();
  EXPECT_EQ(NowOf("a", true), stored);
  Start();
  EXPECT_EQ(NowOf("a", true), stored);
  clock.Advance(absl::Microseconds(1));
  EXPECT_EQ(NowOf("a", true), stored + absl::Microseconds(1));
}

TEST_F(ObjectTest, ItsClockIsKeptWhereverTheObjectLies) {
  families_max = 1;
  Start();
  const absl::Time stored = NowOf("a", true);
  ASSERT_NE(CatalogOf(scripted, "a")->family_generation(), 0u);
  clock.StepWall(-absl::Hours(24));
  Start();
  EXPECT_EQ(NowOf("a", false), stored);
}

TEST_F(ObjectTest, AFailedTurnDoesNotTurnTheClockBack) {
  Start();
  const absl::Time stored = NowOf("a", true);
  clock.StepWall(-absl::Hours(1));
  (void)Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
    (void)self.storage().Put("k", "v");
    co_return NotFound("fails");
  });
  EXPECT_EQ(NowOf("a", false), stored);
}

// --- Existence

TEST_F(ObjectTest, ReadingAnObjectThatNeverWroteStoresNothing) {
  Start();
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(AlarmOf("a"), std::nullopt);
  NowOf("a", false);
  node->Advance(absl::Minutes(1));
  EXPECT_EQ(recording.commits, 0);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(ObjectTest, DeletingAnAlarmThatIsNotThereStoresNothing) {
  Start();
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                self.storage().DeleteAlarm();
                co_return absl::OkStatus();
              }).ok());
  EXPECT_EQ(recording.commits, 0);
}

TEST_F(ObjectTest, TheFirstWriteMakesHeaderAndCatalogInTheSameCommit) {
  Start();
  Put("a", "k", "v");
  EXPECT_EQ(recording.commits, 1);
  const auto header = HeaderOf(scripted, "a");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->schema_version(), 0);
  EXPECT_EQ(header->create_time_us(), absl::ToUnixMicros(clock.Now()));
  const auto catalog = CatalogOf(scripted, "a");
  ASSERT_TRUE(catalog);
  EXPECT_EQ(catalog->create_time_us(), absl::ToUnixMicros(clock.Now()));
  EXPECT_EQ(catalog->family_generation(), 0u);
}

TEST_F(ObjectTest, LaterWritesDoNotTouchTheCatalog) {
  Start();
  Put("a", "k", "v");
  const auto catalog_writes = recording.points[storage::FamilyId::kCatalog];
  const auto created = HeaderOf(scripted, "a")->create_time_us();
  node->Advance(absl::Seconds(1));
  Put("a", "k", "w");
  Start();
  Put("a", "k", "x");
  EXPECT_EQ(recording.points[storage::FamilyId::kCatalog], catalog_writes);
  EXPECT_EQ(HeaderOf(scripted, "a")->create_time_us(), created);
}

TEST_F(ObjectTest, AnAlarmAloneMakesTheObjectExist) {
  Start();
  SetAlarm("a", clock.Now() + absl::Hours(1));
  EXPECT_TRUE(HeaderOf(scripted, "a"));
  EXPECT_TRUE(CatalogOf(scripted, "a"));
}

TEST_F(ObjectTest, ObjectsAreIsolated) {
  Start();
  // Some names are prefixes of others, or have the bytes that end names.
  const std::string names[] = {"a", "ab", std::string("a\0", 2), std::string("a\0\1", 3), std::string("\0", 1), "a/b"};
  for (const std::string& name : names) Put(name, "k", "of " + name);
  for (const std::string& name : names) EXPECT_EQ(Get(name, "k"), "of " + name);
  Start();
  for (const std::string& name : names) EXPECT_EQ(Get(name, "k"), "of " + name);
}

TEST_F(ObjectTest, TheSameNameInAnotherClassIsAnotherObject) {
  ObjectClass other = MakeScriptedClass();
  other.name = "Other";
  classes.push_back(&other);
  Start();
  Put("a", "k", "v");
  auto sent = std::make_shared<Sent<bool>>();
  SendBody(
      other, "a",
      [sent](Object& object) {
        return [](ScriptedObject& self, bool* found) -> Task<absl::Status> {
          *found = (*co_await self.storage().Get("k")).has_value();
          co_return absl::OkStatus();
        }(static_cast<ScriptedObject&>(object), &sent->response);
      },
      sent);
  node->Settle();
  EXPECT_TRUE(sent->ok());
  EXPECT_FALSE(sent->response);
}

}  // namespace
}  // namespace holdfast::actors
