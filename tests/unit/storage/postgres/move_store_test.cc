// The objects of a data directory go into a database, and back into another directory.

#include "storage/node/move_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "storage/log/file_commit_logs.h"
#include "tests/unit/storage/moved_objects.h"
#include "tests/unit/storage/open_logged.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

std::unique_ptr<Store> OpenDirectory(const std::string& dir) { return OpenLoggedFiles(dir); }

TEST(MoveStore, IntoADatabaseAndBack) {
  TempDir first;
  TempDir second;
  TestCluster cluster;
  const auto open_database = [&] {
    auto rows = OpenOrDie(cluster.NewProcess());
    auto logs = rows->NewCommitLogs();
    const uint32_t first_log = rows->first_log();
    return OpenLoggedOrDie(std::move(rows), std::move(logs), first_log);
  };
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

}  // namespace
}  // namespace holdfast::storage::postgres
