// Migrations run in order, once, all or nothing; a store that is newer than the code is left alone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/scripted_object.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <int kVersion>
Task<absl::Status> AppendVersion(storage::ObjectStorage& storage, absl::Time) {
  ScriptedObject::Note(absl::StrCat("migration ", kVersion));
  auto history = co_await storage.Get("history");
  if (!history.ok()) co_return history.status();
  co_return storage.Put("history", absl::StrCat(history->value_or(""), " ", kVersion));
}

bool migration_fails = false;
Task<absl::Status> FailSometimes(storage::ObjectStorage& storage, absl::Time) {
  (void)storage.Put("half", "way");
  if (migration_fails) co_return absl::InternalError("the migration fails");
  co_return absl::OkStatus();
}

Task<absl::Status> WriteMuch(storage::ObjectStorage& storage, absl::Time) {
  co_return storage.Put("much", std::string(20'000, 'x'));
}

Task<absl::Status> StoreNow(storage::ObjectStorage& storage, absl::Time now) {
  co_return storage.Put("migrated", absl::StrCat(absl::ToUnixMicros(now)));
}

class MigrationTest : public ScriptedTest {
 protected:
  MigrationTest() { migration_fails = false; }

  // Restarts the node with other code.
  void StartWith(std::vector<Migration> migrations) {
    Crash();
    scripted = MakeScriptedClass(std::move(migrations));
    Start();
  }
};

TEST_F(MigrationTest, TheyRunInOrderOnceBeforeLoadAndTheFirstRequest) {
  Start();
  Put("a", "k", "v");
  board().load = [](ScriptedObject& self) -> Task<absl::Status> {
    ScriptedObject::Note("load sees" + (*co_await self.storage().Get("history")).value_or(" nothing"));
    co_return absl::OkStatus();
  };
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}, {5, AppendVersion<5>}});
  EXPECT_EQ(Get("a", "history"), " 1 2 5");
  EXPECT_THAT(board().notes, ElementsAre("migration 1", "migration 2", "migration 5", "load sees 1 2 5"));
  EXPECT_EQ(HeaderOf(scripted, "a")->schema_version(), 5);
  board().notes.clear();
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}, {5, AppendVersion<5>}});
  EXPECT_EQ(Get("a", "history"), " 1 2 5");
  EXPECT_THAT(board().notes, ElementsAre("load sees 1 2 5"));
}

TEST_F(MigrationTest, OnlyThoseThatAreDueRun) {
  Start();
  Put("a", "k", "v");
  StartWith({{1, AppendVersion<1>}});
  EXPECT_EQ(Get("a", "history"), " 1");
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}});
  EXPECT_EQ(Get("a", "history"), " 1 2");
}

TEST_F(MigrationTest, ANewObjectBeginsAtTheNewestVersionWithoutThem) {
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}});
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(recording.EntryCount(), 0u);
  Put("a", "k", "v");
  EXPECT_EQ(HeaderOf(scripted, "a")->schema_version(), 2);
  EXPECT_EQ(Get("a", "history"), std::nullopt);
  EXPECT_THAT(board().notes, IsEmpty());
}

TEST_F(MigrationTest, TheyAreOneCommitWithTheVersionWhateverStepACrashComesAt) {
  const std::vector<Migration> migrations = {{1, AppendVersion<1>}, {2, FailSometimes}, {3, AppendVersion<3>}};
  bool seen_old = false;
  bool seen_new = false;
  for (int crash_after = 0; crash_after < 12; ++crash_after) {
    SCOPED_TRACE(absl::StrCat("crash after ", crash_after, " steps"));
    const std::string name = absl::StrCat("object", crash_after);
    StartWith({});
    store.set_cold(false);
    Put(name, "k", "v");
    StartWith(migrations);
    store.set_cold(true);
    auto reader = SendGet(name, "history");
    for (int step = 0; step < crash_after; ++step) node->Step(0);
    const bool answered = reader->done();
    Crash();
    const auto keys = KeysOf(scripted, name);
    const int64_t version = HeaderOf(scripted, name)->schema_version();
    if (answered) EXPECT_EQ(version, 3) << "an answer from a version that is not durable";
    (version == 3 ? seen_new : seen_old) = true;
    if (version == 3) {
      EXPECT_EQ(keys.at("\x10history"), " 1 3");
      EXPECT_EQ(keys.at("\x10half"), "way");
    } else {
      EXPECT_EQ(version, 0);
      EXPECT_FALSE(keys.contains("\x10history"));
      EXPECT_FALSE(keys.contains("\x10half"));
    }
    StartWith(migrations);
    EXPECT_EQ(Get(name, "history"), " 1 3");
    EXPECT_EQ(Get(name, "k"), "v");
  }
  EXPECT_TRUE(seen_old && seen_new);
}

TEST_F(MigrationTest, AFailureGoesToThoseThatWaitAndLeavesTheOldVersion) {
  Start();
  Put("a", "k", "v");
  const auto before = recording.Dump();
  StartWith({{1, AppendVersion<1>}, {2, FailSometimes}});
  migration_fails = true;
  auto first = SendGet("a", "k");
  auto second = SendGet("a", "k");
  node->Settle();
  EXPECT_EQ(first->status->code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(second->ok());
  EXPECT_EQ(recording.Dump(), before);
  migration_fails = false;
  EXPECT_EQ(Get("a", "history"), " 1");
  EXPECT_EQ(HeaderOf(scripted, "a")->schema_version(), 2);
}

TEST_F(MigrationTest, AStoreThatIsNewerThanTheCodeIsRefusedAndLeftAsItIs) {
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}});
  Put("a", "k", "v");
  SetAlarm("a", clock.Now() + absl::Hours(1));
  const auto before = recording.Dump();
  StartWith({{1, AppendVersion<1>}});
  auto reader = SendGet("a", "k");
  auto writer = SendPut("a", "k", "w");
  auto deletion = SendDeleteAll(scripted, "a");
  node->Settle();
  for (const Outcome* outcome : std::vector<Outcome*>{reader.get(), writer.get(), deletion.get()}) {
    ASSERT_TRUE(outcome->done());
    EXPECT_THAT(*outcome->status, Fails(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_NEWER));
    EXPECT_FALSE(HasRetryInfo(*outcome->status));
    EXPECT_FALSE(outcome->begun);
  }
  // The alarm is due and cannot run.
  node->Advance(absl::Hours(2));
  EXPECT_EQ(recording.Dump(), before);
  StartWith({{1, AppendVersion<1>}, {2, AppendVersion<2>}});
  EXPECT_EQ(Get("a", "k"), "v");
}

TEST_F(MigrationTest, TheyAreBoundedAsATurnIs) {
  options.turn_bytes_max = 10'000;
  Start();
  Put("a", "k", "v");
  StartWith({{1, WriteMuch}});
  auto reader = SendGet("a", "k");
  node->Settle();
  EXPECT_THAT(*reader->status, Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_EQ(HeaderOf(scripted, "a")->schema_version(), 0);
}

TEST_F(MigrationTest, TheyAreGivenTheObjectsClock) {
  Start();
  EXPECT_TRUE(Ask("a", [](ScriptedObject& self) -> Task<absl::Status> {
                self.Now();
                co_return self.storage().Put("k", "v");
              }).ok());
  const absl::Time stored = clock.Now();
  clock.StepWall(-absl::Hours(1));
  StartWith({{1, StoreNow}});
  EXPECT_EQ(Get("a", "migrated"), absl::StrCat(absl::ToUnixMicros(stored)));
}

TEST_F(MigrationTest, TheyRunForAnObjectInAFamilyOfItsOwn) {
  families_max = 1;
  Start();
  Put("a", "k", "v");
  ASSERT_NE(CatalogOf(scripted, "a")->family_generation(), 0u);
  StartWith({{1, AppendVersion<1>}});
  EXPECT_EQ(Get("a", "history"), " 1");
  EXPECT_EQ(HeaderOf(scripted, "a")->schema_version(), 1);
}

TEST_F(MigrationTest, AnAlarmOfAnOldObjectFindsItMigrated) {
  Start();
  SetAlarm("a", clock.Now() + absl::Seconds(10));
  board().alarm = [](ScriptedObject& self, const AlarmRun&) -> Task<absl::Status> {
    ScriptedObject::Note("alarm sees" + (*co_await self.storage().Get("history")).value_or(" nothing"));
    co_return absl::OkStatus();
  };
  StartWith({{1, AppendVersion<1>}});
  node->Advance(absl::Seconds(10));
  EXPECT_THAT(board().notes, ElementsAre("migration 1", "alarm sees 1"));
}

}  // namespace
}  // namespace holdfast::actors
