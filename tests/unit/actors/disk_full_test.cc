// A full disk: writes that take space are refused while there is still a reserve, whoever makes them; reads and
// deletions go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/actors/relocation_fixture.h"

namespace holdfast::actors {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DiskFullTest : public RelocationTest {
 protected:
  static auto IsDiskFull() { return Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_DISK_FULL); }
};

TEST_F(DiskFullTest, AWriteIsRefusedWithTheInstanceAndLeavesNoRecord) {
  Start();
  Put("a", "k", "old");
  const auto change = [](ScriptedObject& self, std::string* reply) -> Task<absl::Status> {
    *reply = absl::StrCat(++self.member);
    co_return self.storage().Put("k", "new");
  };
  store.set_disk_full(true);
  auto refused = SendRecorded("a", "id", "change", change);
  node->Settle();
  EXPECT_THAT(*refused->status, IsDiskFull());
  EXPECT_TRUE(HasRetryInfo(*refused->status));
  EXPECT_EQ(Get("a", "k"), "old");
  store.set_disk_full(false);
  auto again = SendRecorded("a", "id", "change", change);
  node->Settle();
  EXPECT_TRUE(again->ok());
  EXPECT_EQ(again->response, "1") << "the members of the refused turn are still there";
  EXPECT_EQ(Get("a", "k"), "new");
}

TEST_F(DiskFullTest, DeletionsGoOn) {
  Start();
  Put("a", "k", "v");
  store.set_disk_full(true);
  auto deleted = SendDeleteAll(scripted, "a");
  node->Settle();
  EXPECT_TRUE(deleted->ok());
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(DiskFullTest, APartOfAHandlerIsRefusedToo) {
  Start();
  store.set_disk_full(true);
  EXPECT_THAT(Ask("a",
                  [](ScriptedObject& self) -> Task<absl::Status> {
                    (void)self.storage().Put("k", "v");
                    co_await self.NextTurn();
                    co_return absl::OkStatus();
                  }),
              IsDiskFull());
  EXPECT_EQ(Get("a", "k"), std::nullopt);
  EXPECT_EQ(recording.EntryCount(), 0u);
}

TEST_F(DiskFullTest, APartOfAHandlerKeepsToTheQuotaToo) {
  options.object_bytes_max = 100;
  Start();
  EXPECT_THAT(Ask("a",
                  [](ScriptedObject& self) -> Task<absl::Status> {
                    (void)self.storage().Put("k", std::string(200, 'v'));
                    co_await self.NextTurn();
                    co_return absl::OkStatus();
                  }),
              Fails(absl::StatusCode::kResourceExhausted, v1::ERROR_REASON_OBJECT_QUOTA));
  EXPECT_EQ(Get("a", "k"), std::nullopt);
}

TEST_F(DiskFullTest, AnAlarmIsTriedAgainAndNoAttemptCounts) {
  for (bool in_parts : {false, true}) {
    SCOPED_TRACE(in_parts);
    std::vector<int> retries;
    bool fill = true;
    board().alarm = [&](ScriptedObject& self, const AlarmRun& run) -> Task<absl::Status> {
      retries.push_back(run.retry_count);
      EXPECT_EQ(self.storage().alarm(), std::nullopt);
      if (fill) store.set_disk_full(true);
      (void)self.storage().Put("k", "v");
      if (in_parts) co_await self.NextTurn();
      co_return absl::OkStatus();
    };
    Start();
    SetAlarm("a", clock.Now() + absl::Seconds(1));
    node->Advance(absl::Minutes(5));
    EXPECT_THAT(retries, ElementsAre(0));
    fill = false;
    store.set_disk_full(false);
    node->Advance(absl::Seconds(2));
    EXPECT_THAT(retries, ElementsAre(0, 0));
    EXPECT_EQ(Get("a", "k"), "v");
    EXPECT_TRUE(recording.Dump()["alarms"].empty());
    Wipe();
  }
}

TEST_F(DiskFullTest, AMoveStopsAndBeginsAgainWhenThereIsRoom) {
  Tracked object(this, "large");
  families_max = 0;
  Start();
  Fill(&object, 20);
  families_max = 1;
  Start();
  object.Put("small", 's', 10);
  // The move has copied a part.
  const int commits = recording.commits;
  while (recording.commits < commits + 2 && node->Step(0)) {
  }
  store.set_disk_full(true);
  const int before = recording.commits;
  node->Settle();
  EXPECT_FALSE(HasOwnFamily("large"));
  EXPECT_LE(recording.commits, before + 1) << "it goes on";
  EXPECT_THAT(recording.ListOwnFamilies(), IsEmpty());
  ExpectFamiliesConsistent();
  // No move begins either.
  object.Delete("small");
  node->Advance(absl::Minutes(2));
  object.Delete("00");
  node->Settle();
  EXPECT_EQ(Find("large") == nullptr || Find("large")->packed(), true);
  store.set_disk_full(false);
  object.Put("small", 't', 10);
  node->Settle();
  EXPECT_TRUE(HasOwnFamily("large"));
  object.CheckAll();
  ExpectFamiliesConsistent();
}

}  // namespace
}  // namespace holdfast::actors
