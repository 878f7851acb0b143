// The special things of this store: where its rows lie, what is in memory, long walks, and reads while the server is
// gone.

#include "storage/postgres/postgres_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/fold/logged_store.h"
#include "storage/node/alarm_index.h"
#include "storage/node/families.h"
#include "storage/store/format.h"
#include "storage/store/object_id.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

class PostgresStoreTest : public testing::Test {
 protected:
  void Open(std::function<void(PostgresOptions*)> change = [](PostgresOptions*) {}) {
    store_ = nullptr;
    PostgresOptions options = cluster_.NewProcess();
    change(&options);
    store_ = OpenOrDie(options);
  }
  void Put(const Location& location, WriteSet set) {
    ASSERT_THAT(Commit(*store_, {{location, std::move(set)}}), IsOk());
  }
  // Returns what the store says of a key without the server.
  ReadResult InMemory(const Location& location, absl::string_view key) {
    std::string value;
    absl::Status error;
    return store_->Get(location, key, ReadTier::kMemory, &value, &error);
  }

  TestCluster cluster_;
  std::unique_ptr<PostgresStore> store_;
};

TEST_F(PostgresStoreTest, RowsOfAnObjectSayItsShard) {
  Open();
  const ObjectKey object("ns", "Class", "name");
  const auto shard = static_cast<int16_t>(object.shard());
  std::string record_key(1, kRequestRecordKind);
  AppendUint16(&record_key, static_cast<uint16_t>(object.shard()));
  record_key += object.encoded() + "request";
  std::string age_key(1, kRequestAgeKind);
  AppendInt64(&age_key, 123456);
  age_key += record_key;
  ASSERT_THAT(Commit(*store_, {{PackedLocation(object), Puts({{"a", ""}, {"b", ""}})},
                               {WholeFamily(FamilyId::kCatalog), Puts({{object.encoded(), ""}})},
                               {WholeFamily(FamilyId::kAlarms), Puts({{AlarmIndexKey(-5, object.encoded()), ""}})},
                               {WholeFamily(FamilyId::kRequests), Puts({{record_key, ""}, {age_key, ""}})}}),
              IsOk());
  const TripResult rows = cluster_.Execute("SELECT DISTINCT shard FROM hf_entry");
  ASSERT_EQ(rows.rows[0].count(), 1);
  EXPECT_EQ(rows.rows[0].Int(0, 0), shard);
  // Entries that belong to no object are of no shard.
  Put(WholeFamily(FamilyId::kNode), Puts({{"header", ""}}));
  EXPECT_EQ(cluster_.Execute("SELECT shard FROM hf_entry WHERE family = 0").rows[0].Int(0, 0), -1);
}

TEST_F(PostgresStoreTest, LongestKeysOfClientsFit) {
  Open();
  const ObjectKey object(std::string(63, 'n'), "Object", std::string(512, '\0'));
  std::string key(1 + 2048, '\xff');
  key[0] = kEntryKind;
  std::string request_key(1, kRequestAgeKind);
  AppendInt64(&request_key, 1);
  request_key += kRequestRecordKind;
  AppendUint16(&request_key, static_cast<uint16_t>(object.shard()));
  request_key += object.encoded() + std::string(128, '\xee');
  // Nothing that a B-tree could make shorter by packing it.
  Random random(1);
  for (size_t i = 1; i < key.size(); ++i) key[i] = static_cast<char>(random.Bits());
  ASSERT_THAT(Commit(*store_, {{PackedLocation(object), OnePut(key, "value")},
                               {WholeFamily(FamilyId::kCatalog), OnePut(object.encoded(), "record")},
                               {WholeFamily(FamilyId::kAlarms), OnePut(AlarmIndexKey(1, object.encoded()), "")},
                               {WholeFamily(FamilyId::kRequests), OnePut(request_key, "bytes")}}),
              IsOk());
  Open();
  EXPECT_THAT(FindAt(*store_, PackedLocation(object), key), Optional(std::string("value")));
  EXPECT_THAT(FindAt(*store_, WholeFamily(FamilyId::kRequests), request_key), Optional(std::string("bytes")));
  EXPECT_THAT(Dump(*store_, FamilyId::kCatalog), ElementsAre(Pair(object.encoded(), "record")));
}

TEST_F(PostgresStoreTest, FamiliesOfAllShardsAreInTheOrderOfTheirKeys) {
  Open();
  std::vector<std::string> ids;
  WriteSet catalog;
  WriteSet alarms;
  for (int i = 0; i < 500; ++i) {
    ids.push_back(ObjectKey("ns", "Class", absl::StrCat("name", i)).encoded());
    catalog.Put(ids.back(), "");
    alarms.Put(AlarmIndexKey(1000 - i, ids.back()), "");
  }
  ASSERT_THAT(Commit(*store_, {{WholeFamily(FamilyId::kCatalog), catalog}, {WholeFamily(FamilyId::kAlarms), alarms}}),
              IsOk());
  EXPECT_GT(cluster_.Execute("SELECT count(DISTINCT shard) FROM hf_entry").rows[0].Int(0, 0), 100);
  std::vector<std::string> walked;
  for (const auto& [key, value] :
       Walk(*store_->NewCursor(WholeFamily(FamilyId::kCatalog), KeyRange::All(), ReadTier::kDisk), false)) {
    walked.push_back(key);
  }
  std::vector<std::string> sorted = ids;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(walked, sorted);
  walked.clear();
  for (const auto& [key, value] :
       Walk(*store_->NewCursor(WholeFamily(FamilyId::kAlarms), KeyRange::All(), ReadTier::kDisk), false)) {
    walked.push_back(key.substr(8));
  }
  std::reverse(walked.begin(), walked.end());
  EXPECT_EQ(walked, ids);
}

TEST_F(PostgresStoreTest, TheCatalogOfAShardIsReadInPages) {
  Open();
  const auto read = [this](ShardId shard) {
    std::vector<std::string> keys;
    EXPECT_THAT(store_->ReadCatalog(shard,
                                    [&](absl::string_view key, absl::string_view value) {
                                      EXPECT_EQ(value, "record");
                                      keys.emplace_back(key);
                                    }),
                IsOk());
    return keys;
  };
  EXPECT_THAT(read(ShardId(7)), IsEmpty());
  // More than two pages, among those of other shards and of the other families.
  std::vector<std::string> wanted;
  WriteSet catalog;
  WriteSet alarms;
  for (int i = 0; wanted.size() < 2500; ++i) {
    const ObjectKey object("ns", "Class", absl::StrCat("name", i));
    if (object.shard() == ShardId(7)) {
      wanted.push_back(object.encoded());
    } else if (i % 256 != 0) {
      continue;
    }
    catalog.Put(object.encoded(), "record");
    alarms.Put(AlarmIndexKey(i, object.encoded()), "");
  }
  Put(WholeFamily(FamilyId::kCatalog), std::move(catalog));
  Put(WholeFamily(FamilyId::kAlarms), std::move(alarms));
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(read(ShardId(7)), wanted);
  // A shard of another process, once each reads its own ones.
  store_->ReadOwnShards();
  EXPECT_TRUE(IsNotOwner(store_->ReadCatalog(ShardId(7), [](absl::string_view, absl::string_view) {})));
}

TEST_F(PostgresStoreTest, ThereAreNoFamiliesOfSingleObjects) {
  Open();
  EXPECT_EQ(store_->CreateFamily("own").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(store_->ListOwnFamilies(), IsEmpty());
  EXPECT_THAT(Commit(*store_, {{{FamilyId::kFirstOwn, ""}, OnePut("k", "v")}}),
              IsStatus(absl::StatusCode::kInternal, "dropped family"));
}

TEST_F(PostgresStoreTest, FirstReadBringsASmallObjectIntoMemory) {
  Open();
  const Location small = PackedLocation(ObjectKey("ns", "Class", "small"));
  Put(small, Puts({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  Open();
  EXPECT_EQ(InMemory(small, "a"), ReadResult::kNeedsDisk);
  EXPECT_THAT(FindAt(*store_, small, "b"), Optional(std::string("2")));
  EXPECT_EQ(InMemory(small, "a"), ReadResult::kFound);
  EXPECT_EQ(InMemory(small, "never there"), ReadResult::kAbsent);
  EXPECT_THAT(Walk(*store_->NewCursor(small, KeyRange::All(), ReadTier::kMemory), false),
              ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3")));
  // It knows, too, that an object does not exist.
  const Location absent = PackedLocation(ObjectKey("ns", "Class", "absent"));
  EXPECT_EQ(FindAt(*store_, absent, "a"), std::nullopt);
  EXPECT_EQ(InMemory(absent, "b"), ReadResult::kAbsent);
  // And commits go on from there.
  Put(absent, OnePut("b", "now"));
  EXPECT_EQ(InMemory(absent, "b"), ReadResult::kFound);
  EXPECT_EQ(InMemory(absent, "c"), ReadResult::kAbsent);
}

TEST_F(PostgresStoreTest, OnlyWhatWasReadOfALargeObjectIsInMemory) {
  Open();
  const Location large = PackedLocation(ObjectKey("ns", "Class", "large"));
  WriteSet set;
  for (int i = 100; i < 400; ++i) set.Put(absl::StrCat(i), std::string(1000, 'v'));
  Put(large, set);
  Open();
  EXPECT_TRUE(FindAt(*store_, large, "350").has_value());
  EXPECT_EQ(InMemory(large, "100"), ReadResult::kFound);
  EXPECT_EQ(InMemory(large, "350"), ReadResult::kFound);
  EXPECT_EQ(InMemory(large, "351"), ReadResult::kNeedsDisk);
  EXPECT_EQ(FindAt(*store_, large, "3505"), std::nullopt);
  EXPECT_EQ(InMemory(large, "3505"), ReadResult::kAbsent);
}

// Compares walks over several pages with a plain map, while commits change what they must not see.
TEST_F(PostgresStoreTest, LongWalksSeeOneMoment) {
  const Location object = PackedLocation(ObjectKey("ns", "Class", "walked"));
  Open();
  ForEachSeed(6, [&](Random& random) {
    Entries entries;
    WriteSet set = Removes(KeyRange::All());
    for (int i = 0; i < 3000; ++i) {
      const std::string key = absl::StrCat(random.Below(100'000));
      const std::string value = random.Bytes(random.OneIn(100) ? 20'000 : 600);
      set.Put(key, value);
      entries[key] = value;
    }
    Put(object, std::move(set));
    KeyRange range{absl::StrCat(random.Below(3)), random.OneIn(2) ? "" : absl::StrCat(7 + random.Below(3))};
    const auto cursor = store_->NewCursor(object, range, ReadTier::kDisk);
    Put(object, Removes({"3", "8"}));
    Entries seen;
    for (const auto& entry : entries) {
      if (range.Contains(entry.first)) seen.insert(entry);
    }
    auto at = seen.end();
    for (int step = 0; step < 400; ++step) {
      switch (at == seen.end() ? random.Below(3) : random.Below(5)) {
        case 0:
          cursor->SeekToFirst();
          at = seen.begin();
          break;
        case 1:
          cursor->SeekToLast();
          at = seen.empty() ? seen.end() : std::prev(seen.end());
          break;
        case 2: {
          const std::string key = absl::StrCat(random.Below(100'000));
          cursor->Seek(key);
          at = seen.lower_bound(key);
          break;
        }
        case 3:
          for (uint64_t n = random.Below(300); n > 0 && at != seen.end(); --n) {
            cursor->Next();
            ++at;
          }
          break;
        default:
          for (uint64_t n = random.Below(300); n > 0 && at != seen.end(); --n) {
            cursor->Prev();
            at = at == seen.begin() ? seen.end() : std::prev(at);
          }
      }
      ASSERT_EQ(cursor->state(), at == seen.end() ? ReadResult::kAbsent : ReadResult::kFound) << cursor->error();
      if (at == seen.end()) continue;
      ASSERT_EQ(std::string(cursor->key()), at->first);
      ASSERT_EQ(std::string(cursor->value()), at->second);
    }
  });
  // No transaction is left open.
  const std::string open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
  while (cluster_.Execute(open).rows[0].Int(0, 0) > 0) std::this_thread::yield();
}

TEST_F(PostgresStoreTest, LongWalksAreBoundedAndOtherReadsGoOn) {
  Open([](PostgresOptions* options) {
    options->cursor_connections_max = 2;
    options->read_timeout = absl::Seconds(2);
  });
  const Location object = PackedLocation(ObjectKey("ns", "Class", "walked"));
  WriteSet set;
  for (int i = 0; i < 300; ++i) set.Put(absl::StrCat(i), std::string(2000, 'v'));
  Put(object, std::move(set));
  std::vector<std::unique_ptr<Cursor>> cursors;
  for (int i = 0; i < 3; ++i) {
    cursors.push_back(store_->NewCursor(object, KeyRange::All(), ReadTier::kDisk));
    cursors.back()->SeekToFirst();
    EXPECT_EQ(cursors.back()->state(), i < 2 ? ReadResult::kFound : ReadResult::kError);
  }
  EXPECT_THAT(cursors.back()->error(), IsStatus(absl::StatusCode::kUnavailable, "all 2 connections of cursors"));
  EXPECT_TRUE(FindAt(*store_, object, "7").has_value());
  EXPECT_EQ(Walk(*store_->NewCursor(object, {"10", "11"}, ReadTier::kDisk), false).size(), 11u);
  cursors.erase(cursors.begin());
  EXPECT_EQ(Walk(*store_->NewCursor(object, KeyRange::All(), ReadTier::kDisk), false).size(), 300u);
}

// --- With commit logs.

class PostgresLogTest : public PostgresStoreTest {
 protected:
  // A process with its logs. Nothing is folded before the end unless the test does it.
  struct Process {
    PostgresOptions options;
    PostgresStore* rows = nullptr;
    std::unique_ptr<LoggedStore> store;
  };
  static std::unique_ptr<LoggedStore> WithLogs(std::unique_ptr<PostgresStore> rows, int executors) {
    LoggedStoreOptions with;
    with.logs = static_cast<uint32_t>(executors);
    with.first_log = rows->first_log();
    with.fold_every = absl::InfiniteDuration();
    std::unique_ptr<CommitLogs> logs = rows->NewCommitLogs();
    auto logged = LoggedStore::Open(std::move(rows), std::move(logs), std::move(with));
    EXPECT_THAT(logged, IsOk());
    return *std::move(logged);
  }
  Process Start(int executors) {
    Process process;
    process.options = cluster_.NewProcess();
    process.options.node = process.options.owner;
    process.options.executors = executors;
    process.options.joins = true;
    auto rows = OpenOrDie(process.options);
    process.rows = rows.get();
    process.store = WithLogs(std::move(rows), executors);
    return process;
  }
  // Takes over the writers of `dead`, which writes nothing.
  absl::StatusOr<std::unique_ptr<PostgresStore>> TakeOver(const Process& taker, const Process& dead) {
    const auto map = taker.rows->membership().Look();
    if (!map.ok()) return map.status();
    const Member* const member = map->Find(dead.options.owner);
    if (member == nullptr) return absl::NotFoundError("it was taken over");
    return RecoverPostgresStore(cluster_.NewProcess(), *member);
  }
  int64_t Count(const std::string& what) { return cluster_.Execute("SELECT count(*) FROM " + what).rows[0].Int(0, 0); }
};

const ObjectKey kLoggedObject("ns", "Class", "logged");
const Location kLogged = PackedLocation(kLoggedObject);

TEST_F(PostgresLogTest, CommitIsARowOfTheLogUntilItIsFolded) {
  const Process process = Start(2);
  for (const char* value : {"1", "2", "3"}) {
    ASSERT_THAT(Commit(*process.store->ForExecutor(1), {{kLogged, OnePut("k", value)}}), IsOk());
  }
  EXPECT_EQ(Count(absl::StrCat("hf_log WHERE writer = ", process.rows->first_log() + 1)), 3);
  EXPECT_EQ(Count("hf_entry WHERE family = 3"), 0);
  EXPECT_THAT(FindAt(*process.store, kLogged, "k"), Optional(std::string("3")));
  ASSERT_THAT(process.store->Fold(), IsOk());
  EXPECT_EQ(Count("hf_log"), 0);
  EXPECT_EQ(Count("hf_entry WHERE family = 3"), 1);
  EXPECT_THAT(FindAt(*process.store, kLogged, "k"), Optional(std::string("3")));
}

TEST_F(PostgresLogTest, WhoTakesOverWritesTheLogsBack) {
  const Process first = Start(3);
  const Process second = Start(1);
  for (int executor = 0; executor < 3; ++executor) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_THAT(
          Commit(*first.store->ForExecutor(executor), {{kLogged, OnePut(absl::StrCat(executor), absl::StrCat(i))}}),
          IsOk());
    }
    if (executor == 1) ASSERT_THAT(first.store->Fold(), IsOk());
  }
  auto recovered = TakeOver(second, first);
  ASSERT_THAT(recovered, IsOk());
  EXPECT_FALSE(TakeOver(second, first).ok());
  // The first process can neither commit nor fold any more.
  for (int executor = 0; executor < 3; ++executor) {
    const absl::Status refused = Commit(*first.store->ForExecutor(executor), {{kLogged, OnePut("0", "late")}});
    EXPECT_TRUE(IsNotOwner(refused)) << refused;
  }
  EXPECT_FALSE(first.store->Fold().ok());
  // Its logs are written back, and nothing is left of them.
  WithLogs(*std::move(recovered), 0) = nullptr;
  for (const char* key : {"0", "1", "2"}) EXPECT_THAT(FindAt(*second.store, kLogged, key), Optional(std::string("19")));
  EXPECT_EQ(Count("hf_log"), 0);
  EXPECT_EQ(Count("hf_entry WHERE family = 0"), 1);  // the mark of the second
  const auto map = second.rows->membership().Look();
  ASSERT_THAT(map, IsOk());
  EXPECT_EQ(map->members.size(), 1u);
  EXPECT_EQ(map->ownerless.size(), 4u);
  ASSERT_THAT(second.rows->membership().RemoveWriters(map->ownerless), IsOk());
  EXPECT_EQ(Count("hf_writer"), 2);
}

// The fold alone tells a process that was taken over while it did not commit.
TEST_F(PostgresLogTest, FoldOfAProcessThatWasTakenOverHasNoEffect) {
  const Process first = Start(1);
  const Process second = Start(1);
  ASSERT_THAT(Commit(*first.store->ForExecutor(0), {{kLogged, OnePut("k", "first")}}), IsOk());
  WithLogs(*TakeOver(second, first), 0) = nullptr;
  ASSERT_THAT(Commit(*second.store->ForExecutor(0), {{kLogged, OnePut("k", "second")}}), IsOk());
  ASSERT_THAT(second.store->Fold(), IsOk());
  EXPECT_TRUE(IsNotOwner(first.store->Fold()));
  EXPECT_THAT(FindAt(*second.store, kLogged, "k"), Optional(std::string("second")));
  EXPECT_EQ(cluster_.Execute("SELECT value FROM hf_entry WHERE family = 3").rows[0].Bytes(0, 0), "second");
}

TEST_F(PostgresLogTest, MissingBatchIsDataLoss) {
  const Process first = Start(1);
  const Process second = Start(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(Commit(*first.store->ForExecutor(0), {{kLogged, OnePut("k", absl::StrCat(i))}}), IsOk());
  }
  cluster_.Execute("DELETE FROM hf_log WHERE batch = 2");
  auto rows = TakeOver(second, first);
  ASSERT_THAT(rows, IsOk());
  std::unique_ptr<CommitLogs> logs = (*rows)->NewCommitLogs();
  LoggedStoreOptions replay;
  replay.logs = 0;
  EXPECT_THAT(LoggedStore::Open(*std::move(rows), std::move(logs), std::move(replay)).status(),
              IsStatus(absl::StatusCode::kDataLoss, "of hf_log: batch 2 is missing"));
  // The rest of the log stays, and its writers are not free.
  EXPECT_EQ(Count("hf_log"), 4);
  EXPECT_EQ(Count("hf_writer WHERE owner IS NULL"), 0);
}

TEST_F(PostgresLogTest, NothingIsLeftOfAProcessThatEndsInOrder) {
  Process process = Start(2);
  const ClusterMap before = *process.rows->membership().Look();
  std::vector<Membership::Move> moves;
  for (uint32_t shard = 0; shard < kShardCount; ++shard) {
    moves.push_back({ShardId(shard), 0, before.Find(process.options.owner)->WriterOf(ShardId(shard))});
  }
  ASSERT_THAT(process.rows->membership().MoveShards(moves), IsOk());
  EXPECT_EQ(Count("hf_shard WHERE writer IS NOT NULL"), 256);
  for (int executor : {0, 1}) {
    ASSERT_THAT(Commit(*process.store->ForExecutor(executor), {{kLogged, OnePut("k", "v")}}), IsOk());
  }
  process.store = nullptr;
  EXPECT_EQ(Count("hf_log"), 0);
  EXPECT_EQ(Count("hf_shard WHERE writer IS NOT NULL"), 0);
  EXPECT_EQ(Count("hf_writer WHERE owner IS NOT NULL"), 0);
  EXPECT_EQ(Count("hf_entry WHERE family <> 3"), 0);
  const Process next = Start(1);
  EXPECT_THAT(FindAt(*next.store, kLogged, "k"), Optional(std::string("v")));
}

TEST(PostgresStoreFaults, ReadsWaitForAServerThatComesBack) {
  testing_server::PostgresServer server;
  TestCluster cluster(&server);
  PostgresOptions options = cluster.NewProcess();
  options.lease = absl::Hours(1);
  const auto store = OpenOrDie(options);
  const Location object = PackedLocation(ObjectKey("ns", "Class", "a"));
  ASSERT_THAT(Commit(*store, {{object, Puts({{"k", "1"}})}, {WholeFamily(FamilyId::kCatalog), Puts({{"c", "2"}})}}),
              IsOk());
  EXPECT_THAT(Dump(*store, FamilyId::kCatalog), ElementsAre(Pair("c", "2")));
  server.Kill();
  std::thread reads([&] {
    EXPECT_THAT(FindAt(*store, object, "k"), Optional(std::string("1")));
    EXPECT_THAT(Dump(*store, FamilyId::kCatalog), ElementsAre(Pair("c", "2")));
  });
  server.Start();
  reads.join();
}

TEST(PostgresStoreFaults, ReadsFailAfterTheirTimeAndLaterOnesSucceed) {
  testing_server::PostgresServer server;
  TestCluster cluster(&server);
  PostgresOptions options = cluster.NewProcess();
  options.lease = absl::Hours(1);
  options.read_timeout = absl::Milliseconds(100);
  const auto store = OpenOrDie(options);
  ASSERT_THAT(Commit(*store, {{WholeFamily(FamilyId::kCatalog), Puts({{"c", "2"}})}}), IsOk());
  server.Kill();
  std::string value;
  absl::Status error;
  EXPECT_EQ(store->Get(WholeFamily(FamilyId::kCatalog), "c", ReadTier::kDisk, &value, &error), ReadResult::kError);
  EXPECT_EQ(error.code(), absl::StatusCode::kUnavailable) << error;
  server.Start();
  EXPECT_THAT(FindAt(*store, WholeFamily(FamilyId::kCatalog), "c"), Optional(std::string("2")));
}

// Nobody may wait for it: the writer commits no more, also when the database is there again.
TEST(PostgresStoreFaults, MemberWhoseWriterHasGivenUpIsToldThatItCantGoOn) {
  testing_server::PostgresServer server;
  TestCluster cluster(&server);
  PostgresOptions options = cluster.NewProcess();
  options.lease = absl::Hours(1);
  options.outage_max = absl::Milliseconds(100);
  const auto store = OpenOrDie(options);
  server.Kill();
  EXPECT_THAT(store->membership().SetState(MemberState::kLeaving), IsStatus(absl::StatusCode::kAborted, ""));
  EXPECT_THAT(store->membership().Look().status(), IsStatus(absl::StatusCode::kUnavailable, ""));
  server.Start();
  EXPECT_THAT(store->membership().Look().status(), IsOk());
  EXPECT_THAT(store->membership().SetState(MemberState::kLeaving), IsStatus(absl::StatusCode::kAborted, ""));
}

}  // namespace
}  // namespace holdfast::storage::postgres
