// The objects of a data directory go into a database, and back into another directory.

#include "storage/node/move_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/log/file_commit_logs.h"
#include "tests/unit/storage/moved_objects.h"
#include "tests/unit/storage/open_logged.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

std::unique_ptr<Store> OpenDirectory(const std::string& dir) { return OpenLoggedFiles(dir); }

// Moves the objects into the store that `open_database` opens, and back.
void MoveIntoAndBack(const std::function<std::unique_ptr<Store>()>& open_database) {
  TempDir first;
  TempDir second;
  {
    const auto from = OpenDirectory(first.path());
    MakeObjects(from.get());
  }
  uint64_t checksum = 0;
  {
    const auto from = OpenDirectory(first.path());
    const auto to = open_database();
    const auto moved = MoveStore(from.get(), to.get(), {.batch_bytes_max = 2000});
    ASSERT_THAT(moved.status(), IsOk());
    EXPECT_EQ(moved->objects, kObjects);
    checksum = moved->checksum;
    ExpectObjects(*to);
    EXPECT_EQ(FindAt(*to, PackedLocation(Gone()), kRemainderKey), "next: 7");
    EXPECT_THAT(MoveStore(from.get(), to.get()).status(),
                IsStatus(absl::StatusCode::kFailedPrecondition, "objects already"));
  }
  {
    const auto from = open_database();
    const auto to = OpenDirectory(second.path());
    const auto moved = MoveStore(from.get(), to.get(), {.batch_bytes_max = 2000, .packed_in_order = false});
    ASSERT_THAT(moved.status(), IsOk());
    EXPECT_EQ(moved->objects, kObjects);
    EXPECT_NE(moved->checksum, checksum) << "the remainder stays behind";
  }
  const auto again = OpenDirectory(second.path());
  EXPECT_THAT(CheckMoved(again.get()), IsOk());
  ExpectObjects(*again);
}

TEST(MoveStore, IntoADatabaseAndBack) {
  TestCluster cluster;
  MoveIntoAndBack([&] {
    auto rows = OpenOrDie(cluster.NewProcess());
    auto logs = rows->NewCommitLogs();
    const uint32_t first_log = rows->first_log();
    return OpenLoggedOrDie(std::move(rows), std::move(logs), first_log);
  });
}

TEST(MoveStore, IntoSeveralDatabasesAndBack) {
  TestDatabases databases(3);
  databases.Init();
  MoveIntoAndBack([&] { return DividedCluster::OpenDivided(databases.NewProcess()); });
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GT(databases.Count(i, "hf_entry WHERE family = 3"), 0);
    EXPECT_EQ(databases.Count(i, absl::StrCat("hf_entry WHERE shard >= 0 AND shard % 3 <> ", i)), 0);
  }
}

}  // namespace
}  // namespace holdfast::storage::postgres
