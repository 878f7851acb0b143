// A cluster in several databases: their tables, what is refused, and the store over all of them.

#include "storage/postgres/databases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/node/alarm_index.h"
#include "storage/node/families.h"
#include "storage/node/run_clocks.h"
#include "storage/postgres/divided_store.h"
#include "storage/store/format.h"
#include "tests/unit/storage/moved_objects.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::Optional;

std::string Meta(TestDatabases& databases, size_t database, const std::string& key) {
  return std::string(databases.Execute(database, absl::StrCat("SELECT value FROM hf_meta WHERE key = '", key, "'"))
                         .rows[0]
                         .Bytes(0, 0));
}
bool HasTables(TestDatabases& databases, size_t database) {
  return databases.Execute(database, "SELECT to_regclass('hf_meta') IS NOT NULL").rows[0].Bool(0, 0);
}
absl::Status Open(const std::vector<PostgresOptions>& databases) { return OpenDatabases(databases).status(); }

// The databases of another cluster, or of the same one, at places where they do not belong.
std::vector<PostgresOptions> At(std::vector<PostgresOptions> databases) {
  for (uint32_t i = 0; i < databases.size(); ++i) {
    databases[i].part = {i, static_cast<uint32_t>(databases.size())};
  }
  return databases;
}

TEST(Databases, EachHasItsShardsItsNumberAndTheIdOfTheCluster) {
  TestDatabases databases(3);
  databases.Init();
  const std::string id = Meta(databases, 0, "cluster");
  EXPECT_EQ(id.size(), 36u);
  std::vector<int64_t> shards;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(Meta(databases, i, "cluster"), id);
    EXPECT_EQ(Meta(databases, i, "version"), "3");
    EXPECT_EQ(Meta(databases, i, "databases"), "3");
    EXPECT_EQ(Meta(databases, i, "database"), absl::StrCat(i));
    EXPECT_EQ(databases.Count(i, absl::StrCat("hf_shard WHERE id % 3 <> ", i)), 0);
    shards.push_back(databases.Count(i, "hf_shard"));
  }
  EXPECT_THAT(shards, ElementsAre(86, 85, 85));
  databases.Init();
  EXPECT_EQ(Meta(databases, 2, "cluster"), id);
}

TEST(Databases, InitThatWasCutOffIsBegunAgain) {
  TestDatabases databases(2);
  const auto first = InitDatabase({.conninfo = databases.options()[1].conninfo}, databases.options()[1].part, "");
  ASSERT_THAT(first.status(), IsOk());
  EXPECT_THAT(Open(databases.NewProcess()), IsStatus(StatusCode::kFailedPrecondition,
                                                     "postgres.database[0]: PostgreSQL: the database has no tables"));
  databases.Init();
  EXPECT_EQ(Meta(databases, 0, "cluster"), first->cluster);
  EXPECT_THAT(Open(databases.NewProcess()), IsOk());
}

TEST(Databases, WritersOfAllHaveDifferentNumbers) {
  TestDatabases databases(kDatabasesMax);
  for (const uint32_t i : {0u, 1u, kDatabasesMax - 1}) {
    const PostgresOptions process = databases.NewProcess()[i];
    ASSERT_THAT(InitDatabase({.conninfo = process.conninfo}, process.part, "").status(), IsOk());
    const auto store = OpenOrDie(process);
    EXPECT_EQ(store->first_log(), i * kWritersOfDatabase + 1);
    EXPECT_EQ(DatabaseOfWriter(store->first_log()), i);
    // The run of an object and the mark of a log have it as an int4.
    EXPECT_LT(store->first_log(), uint32_t{1} << 31);
  }
}

TEST(Databases, OthersThanThoseOfTheClusterAreRefused) {
  TestDatabases databases(2);
  databases.Init();
  TestDatabases foreign(2);
  foreign.Init();
  TestDatabases three(3);
  three.Init();
  TestDatabases empty(1);
  TestCluster one;
  const std::vector<PostgresOptions> own = databases.NewProcess();
  const std::vector<PostgresOptions> of_three = three.NewProcess();
  struct Case {
    std::vector<PostgresOptions> databases;
    const char* why;
    bool refused_by_init = true;
  };
  const Case cases[] = {
      {{own[1], own[0]}, "postgres.database[0]: PostgreSQL: this is database 1 of its cluster"},
      {{own[0], own[0]}, "postgres.database[1]: PostgreSQL: this is database 0 of its cluster"},
      {{own[0], foreign.NewProcess()[1]}, "postgres.database[1]: PostgreSQL: the database is of another cluster"},
      {{of_three[0], of_three[1]}, "the cluster of this database has 3 databases, and the configuration has 2"},
      {{own[0]}, "the cluster of this database has 2 databases, and the configuration has 1"},
      {{one.NewProcess(), own[1]}, "the cluster of this database has 1 database, and the configuration has 2"},
      // Nobody was a member, so that its tables can still be made.
      {{own[0], empty.NewProcess()[0]}, "postgres.database[1]: PostgreSQL: the database has no tables", false},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Open(At(c.databases)), IsStatus(StatusCode::kFailedPrecondition, c.why));
    if (c.refused_by_init)
      EXPECT_THAT(InitDatabases(At(c.databases)), IsStatus(StatusCode::kFailedPrecondition, c.why));
  }
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(databases.Count(i, "hf_writer"), 0);
  EXPECT_THAT(Open(own), IsOk());
}

TEST(Databases, TablesThatAreLostAreNotMadeAnew) {
  TestDatabases databases(2);
  ASSERT_THAT(Open(databases.Init().NewProcess()), IsOk());
  for (const char* what : {"TABLE hf_meta, hf_writer, hf_shard, hf_entry, hf_log", "SEQUENCE hf_writer_id"}) {
    databases.Execute(1, absl::StrCat("DROP ", what));
  }
  EXPECT_THAT(Open(databases.NewProcess()), IsStatus(StatusCode::kFailedPrecondition, "postgres.database[1]"));
  EXPECT_THAT(InitDatabases(databases.options()),
              IsStatus(StatusCode::kFailedPrecondition,
                       "postgres.database[1]: PostgreSQL: the database has no tables, "
                       "and the others are of a cluster that was in use"));
  EXPECT_FALSE(HasTables(databases, 1));
}

TEST(Databases, AProcessIsAMemberOfAllOrOfNone) {
  TestDatabases databases(2);
  databases.Init();
  PostgresOptions alone = databases.NewProcess()[1];
  alone.lease = absl::Milliseconds(600);
  const auto in_the_way = OpenOrDie(alone);
  EXPECT_THAT(Open(databases.NewProcess()), IsStatus(StatusCode::kFailedPrecondition, "postgres.database[1]"));
  EXPECT_EQ(databases.Count(0, "hf_writer WHERE owner IS NOT NULL"), 0);
}

// Others give shards to a member, which can't serve them while it waits elsewhere.
TEST(Databases, AProcessThatWaitsInOneIsAMemberOfNone) {
  TestDatabases databases(2);
  databases.Init();
  databases.Execute(1, "INSERT INTO hf_writer VALUES (nextval('hf_writer_id'), -1, 1, 0, 0, 'dead', 1, 'n', '', 900)");
  std::vector<PostgresOptions> process = databases.NewProcess();
  for (PostgresOptions& options : process) {
    options.joins = true;
    options.node = "n";
  }
  const absl::Duration began = BootTime();
  std::atomic<int64_t> members = 0;
  std::atomic<int> looks = 0;
  process[1].boot_time = [&] {
    // The lease of the dead member has not ended.
    if (BootTime() - began < absl::Milliseconds(900)) {
      ++looks;
      members += databases.Count(0, "hf_writer");
    }
    return BootTime();
  };
  EXPECT_THAT(Open(process), IsOk());
  EXPECT_GT(looks, 0);
  EXPECT_EQ(members, 0);
}

class DividedStoreTest : public testing::Test {
 protected:
  static constexpr int kExecutors = 4;  // of all databases

  void Open(std::vector<PostgresOptions> process) {
    for (PostgresOptions& options : process) options.executors = kExecutors / static_cast<int>(process.size());
    auto opened = OpenDatabases(process);
    ASSERT_THAT(opened.status(), IsOk());
    std::vector<std::unique_ptr<Store>> parts;
    for (std::unique_ptr<PostgresStore>& rows : *opened) {
      LoggedStoreOptions options;
      options.logs = kExecutors / static_cast<uint32_t>(process.size());
      options.first_log = rows->first_log();
      options.fold_every = absl::InfiniteDuration();
      rows_.push_back(rows.get());
      std::unique_ptr<CommitLogs> logs = rows->NewCommitLogs();
      auto logged = LoggedStore::Open(std::move(rows), std::move(logs), std::move(options));
      ASSERT_THAT(logged.status(), IsOk());
      logged_.push_back(logged->get());
      parts.push_back(*std::move(logged));
    }
    store_ = std::make_unique<DividedStore>(std::move(parts));
  }
  Store* OfExecutorOf(const ObjectKey& object) {
    return store_->ForExecutor(static_cast<int>(object.shard()) % kExecutors);
  }
  // Commits an object as its executor does.
  void Make(const ObjectKey& object, int64_t due_us) {
    ASSERT_THAT(Commit(*OfExecutorOf(object),
                       {{PackedLocation(object), OnePut(EntryKey(1), "value")},
                        {WholeFamily(FamilyId::kCatalog), OnePut(object.encoded(), "record")},
                        {WholeFamily(FamilyId::kAlarms), OnePut(AlarmIndexKey(due_us, object.encoded()), "")},
                        {WholeFamily(FamilyId::kRequests), OnePut(RequestKey(object), "reply")}}),
                IsOk());
  }

  std::vector<PostgresStore*> rows_;
  std::vector<LoggedStore*> logged_;
  std::unique_ptr<DividedStore> store_;
};

TEST_F(DividedStoreTest, AllRowsOfAShardLieInItsDatabaseAndListsAreMerged) {
  TestDatabases databases(2);
  Open(databases.Init().NewProcess());
  std::set<std::string> objects;
  std::set<std::string> alarms;
  for (int i = 0; i < kObjects; ++i) {
    Make(Object(i), 1000 - i);
    objects.insert(Object(i).encoded());
    alarms.insert(AlarmIndexKey(1000 - i, Object(i).encoded()));
  }
  for (const bool folded : {false, true}) {
    SCOPED_TRACE(folded);
    for (const auto& [family, keys] : {std::pair(FamilyId::kCatalog, objects), std::pair(FamilyId::kAlarms, alarms)}) {
      const auto cursor = store_->NewCursor(WholeFamily(family), KeyRange::All(), ReadTier::kDisk);
      std::vector<std::string> walked;
      for (const auto& [key, value] : Walk(*cursor, /*reverse=*/false)) walked.push_back(key);
      EXPECT_THAT(walked, testing::ElementsAreArray(keys.begin(), keys.end()));
      std::vector<std::string> back;
      for (const auto& [key, value] : Walk(*cursor, /*reverse=*/true)) back.push_back(key);
      EXPECT_THAT(back, testing::ElementsAreArray(keys.rbegin(), keys.rend()));
    }
    for (int i = 0; i < kObjects; ++i) {
      const ObjectKey object = Object(i);
      EXPECT_THAT(FindAt(*store_, PackedLocation(object), EntryKey(1)), Optional(std::string("value")));
      EXPECT_THAT(FindAt(*OfExecutorOf(object), PackedLocation(object), EntryKey(1)), Optional(std::string("value")));
      EXPECT_THAT(Find(*store_, FamilyId::kCatalog, object.encoded()), Optional(std::string("record")));
      EXPECT_THAT(Find(*store_, FamilyId::kRequests, RequestKey(object)), Optional(std::string("reply")));
    }
    for (LoggedStore* const logged : logged_) ASSERT_THAT(logged->Fold(), IsOk());
  }
  int64_t rows = 0;
  for (size_t i = 0; i < 2; ++i) {
    // The node's own rows have no shard.
    EXPECT_EQ(databases.Count(i, absl::StrCat("hf_entry WHERE shard >= 0 AND shard % 2 <> ", i)), 0);
    EXPECT_GT(databases.Count(i, "hf_entry WHERE family = 3"), 0);
    EXPECT_EQ(databases.Count(i, "hf_log"), 0);
    rows += databases.Count(i, "hf_entry WHERE shard >= 0");
  }
  EXPECT_EQ(rows, 4 * kObjects);
}

TEST_F(DividedStoreTest, RecordsOfRunsLieWhereTheirExecutorsWork) {
  TestDatabases databases(2);
  Open(databases.Init().NewProcess());
  for (int executor = 0; executor < kExecutors; ++executor) {
    const auto database = static_cast<size_t>(executor % 2);
    const uint32_t run = rows_[database]->first_log() + static_cast<uint32_t>(executor) / 2;
    ASSERT_THAT(Commit(*store_->ForExecutor(executor),
                       {{WholeFamily(FamilyId::kNode), OnePut(RunClockKey(run), RunClockValue(run + 5))}}),
                IsOk());
    EXPECT_THAT(Find(*store_, FamilyId::kNode, RunClockKey(run)), Optional(RunClockValue(run + 5)));
  }
  // The copy of a store finds the records of all.
  RunClocks clocks(store_.get(), ClusterRuns{.first = 1, .count = 0, .unfinished = nullptr});
  ASSERT_THAT(clocks.Refresh(), IsOk());
  for (const PostgresStore* const rows : rows_) {
    for (const uint32_t run : {rows->first_log(), rows->first_log() + 1}) EXPECT_EQ(clocks.Of(run), run + 5);
  }
}

TEST_F(DividedStoreTest, EachDatabaseHasALeaseOfItsOwn) {
  TestDatabases databases(2);
  // The store has this clock until the end of the fixture.
  const auto seconds = std::make_shared<std::atomic<int64_t>>(1000);
  std::vector<PostgresOptions> process = databases.Init().NewProcess();
  // No heartbeat comes while the test runs.
  for (PostgresOptions& options : process) options.lease = absl::Hours(1);
  process[1].boot_time = [seconds] { return absl::Seconds(seconds->load()); };
  Open(process);
  EXPECT_TRUE(store_->HoldsLease());
  *seconds += 3600;
  EXPECT_FALSE(store_->HoldsLease());
  EXPECT_TRUE(store_->ForExecutor(0)->HoldsLease());
  EXPECT_FALSE(store_->ForExecutor(1)->HoldsLease());
  EXPECT_TRUE(store_->ForExecutor(2)->HoldsLease());
}

TEST_F(DividedStoreTest, ADatabaseThatHangsHoldsUpNoOther) {
  testing_server::PostgresServer second;
  TestDatabases databases(2, {&SharedServer(), &second});
  Open(databases.Init().NewProcess());
  const auto of_database = [](uint32_t database) {
    int i = 0;
    while (static_cast<uint32_t>(Object(i).shard()) % 2 != database) ++i;
    return Object(i);
  };
  const ObjectKey here = of_database(0);
  const ObjectKey there = of_database(1);
  Make(here, 1);
  Make(there, 1);
  second.Freeze();
  std::atomic<bool> committed = false;
  std::thread waits([&] {
    EXPECT_THAT(Commit(*OfExecutorOf(there), {{PackedLocation(there), OnePut(EntryKey(2), "late")}}), IsOk());
    committed = true;
  });
  // The other executors commit, read and fold in their database.
  ASSERT_THAT(Commit(*OfExecutorOf(here), {{PackedLocation(here), OnePut(EntryKey(2), "soon")}}), IsOk());
  ASSERT_THAT(logged_[0]->Fold(), IsOk());
  EXPECT_THAT(FindAt(*OfExecutorOf(here), PackedLocation(here), EntryKey(1)), Optional(std::string("value")));
  EXPECT_FALSE(committed);
  second.Thaw();
  waits.join();
  EXPECT_THAT(FindAt(*store_, PackedLocation(there), EntryKey(2)), Optional(std::string("late")));
  store_ = nullptr;  // before its second database
}

}  // namespace
}  // namespace holdfast::storage::postgres
