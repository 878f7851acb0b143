// Commits through a writer while the server is killed, frozen, or taken over: each is acknowledged once and has
// happened once, or has failed and certainly not happened.

#include "storage/postgres/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/unit/storage/postgres/test_cluster.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage::postgres {
namespace {

using testing::Optional;
using Step = WriterOptions::Step;

const Location kObject = {FamilyId::kPacked, "an object"};

// A server of the test's own, since it is killed, with a cluster and an open store.
class WriterFaultsTest : public testing::Test {
 protected:
  WriterFaultsTest() {
    options_ = cluster_.NewProcess();
    // Nothing but commits writes to the row.
    options_.lease = absl::Hours(1);
    options_.on_step = [this](Step step) {
      if (on_step_ != nullptr) on_step_(step);
    };
  }

  // The end of the store is a commit, too.
  void TearDown() override { on_step_ = nullptr; }

  void Open() { store_ = OpenOrDie(options_); }
  absl::Status Put(const std::string& value) { return Commit(*store_, {{kObject, OnePut("k", value)}}); }
  std::optional<std::string> Stored() {
    // Not from the cache of the store that has committed.
    const TripResult rows = cluster_.Execute("SELECT value FROM hf_entry WHERE family = 3");
    if (rows.rows[0].count() != 1) return std::nullopt;
    return std::string(rows.rows[0].Bytes(0, 0));
  }
  int64_t InRow(const std::string& column) {
    return cluster_.Execute(absl::StrCat("SELECT ", column, " FROM hf_writer WHERE lane = -1")).rows[0].Int(0, 0);
  }
  // Calls `act` at the first such step.
  void Once(Step at, std::function<void()> act) {
    on_step_ = [at, act = std::move(act), done = false](Step step) mutable {
      if (step != at || done) return;
      done = true;
      act();
    };
  }
  void KillAndRestart() {
    server_.Kill();
    server_.Start();
  }
  // Waits until the transaction that is under way has ended on the server.
  void AwaitBatch(int64_t batch) {
    while (InRow("batch") < batch) std::this_thread::yield();
  }
  // Returns the process of the server that serves the writer.
  pid_t Backend() {
    return static_cast<pid_t>(cluster_
                                  .Execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                                           " AND query LIKE '%hf_entry%excluded%'")
                                  .rows[0]
                                  .Int(0, 0));
  }

  // From now on the end of a commit is held back, as by a synchronous standby that is gone. Returns when it is so.
  void HoldCommits() {
    cluster_.Execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster_.Execute("SELECT pg_reload_conf()");
    TripResult held;
    while (held.kind != TripResult::Kind::kUnknown) {
      auto connection = *Connection::Open(cluster_.conninfo());
      connection->Add({"transaction", "SELECT pg_logical_emit_message(true, 'a test', 'writes')"});
      held = connection->Run(std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
    }
  }
  void ReleaseCommits() {
    cluster_.Execute("ALTER SYSTEM RESET synchronous_standby_names");
    cluster_.Execute("SELECT pg_reload_conf()");
  }

  testing_server::PostgresServer server_;
  TestCluster cluster_{&server_};
  PostgresOptions options_;
  std::function<void(Step)> on_step_;
  std::unique_ptr<PostgresStore> store_;
};

// A server that was replaced shows what it has committed by itself, and what nobody else ever sees.
TEST_F(WriterFaultsTest, MapForSureIsOfAServerThatCommits) {
  Open();
  Membership& membership = store_->membership();
  const auto epoch = [](const absl::StatusOr<ClusterMap>& map) { return map.ok() ? map->shards[0].epoch : -1; };
  const int64_t before = epoch(membership.LookForSure());
  ASSERT_GE(before, 0);
  HoldCommits();
  cluster_.Execute(
      "WITH setting AS (SELECT set_config('synchronous_commit', 'local', false))"
      " UPDATE hf_shard SET epoch = epoch + 1 WHERE id = 0 AND (SELECT count(*) FROM setting) = 1");
  EXPECT_EQ(epoch(membership.Look()), before + 1);
  EXPECT_THAT(membership.LookForSure().status(), IsStatus(absl::StatusCode::kUnavailable, ""));
  ReleaseCommits();
  EXPECT_EQ(epoch(membership.LookForSure()), before + 1);
}

TEST_F(WriterFaultsTest, ServerIsKilledBeforeTheCommit) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  Once(Step::kSend, [&] { KillAndRestart(); });
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_EQ(InRow("batch"), 2);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
}

// A lock holds the transaction up until its server is killed.
TEST_F(WriterFaultsTest, ServerIsKilledWithinTheCommit) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  auto holder = *Connection::Open(cluster_.conninfo());
  Once(Step::kSend, [&] {
    holder->Add({"begin", "BEGIN"});
    holder->Add({"lock", "SELECT 1 FROM hf_writer FOR UPDATE"});
    ASSERT_TRUE(holder->Run(Soon()).ok());
    on_step_ = [&, done = false](Step step) mutable {
      if (step != Step::kSent || done) return;
      done = true;
      KillAndRestart();
    };
  });
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_EQ(InRow("batch"), 2);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
  // The answer was "not committed": the write that has found it out raised the epoch, and the commit was sent again.
  EXPECT_EQ(InRow("epoch"), 2);
}

TEST_F(WriterFaultsTest, ServerIsKilledAfterTheCommit) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  Once(Step::kSent, [&] {
    AwaitBatch(2);
    KillAndRestart();
  });
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_LE(store_->ResolvedCommits(), 1);
  EXPECT_EQ(InRow("batch"), 2);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
  EXPECT_THAT(Put("3"), IsOk());
  EXPECT_EQ(InRow("batch"), 3);
}

// The transaction is in the database, and its end is not told.
TEST_F(WriterFaultsTest, AnswerOfACommitIsLate) {
  options_.commit_timeout = absl::Milliseconds(200);
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  HoldCommits();
  int resolving = 0;
  on_step_ = [&](Step step) {
    // The first write that is to find out is held back, too.
    if (step == Step::kResolve && ++resolving == 2) ReleaseCommits();
  };
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_GE(resolving, 2);
  EXPECT_EQ(InRow("batch"), 2);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
}

// Someone cancels a commit that waits for a standby: the server then reports success, with a warning.
TEST_F(WriterFaultsTest, CommitThatIsNotOnTheStandbyIsNotAcknowledged) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  const pid_t backend = Backend();
  ASSERT_GT(backend, 0);
  HoldCommits();
  const std::string cancel = absl::StrCat(
      "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = ", backend);
  int resolving = 0;
  on_step_ = [&](Step step) {
    if (step == Step::kSent) {
      while (cluster_.Execute(cancel).rows[0].Int(0, 0) == 0) std::this_thread::yield();
    }
    if (step == Step::kResolve && ++resolving == 1) ReleaseCommits();
  };
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_GE(resolving, 1);
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
}

TEST_F(WriterFaultsTest, ServerIsFrozenPastTheDeadline) {
  options_.commit_timeout = absl::Milliseconds(100);
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  on_step_ = [&, sent = false, resolving = 0](Step step) mutable {
    if (step == Step::kSend && !std::exchange(sent, true)) server_.Freeze();
    // No connection can be made while the server is frozen.
    if (step == Step::kResolve && ++resolving == 2) server_.Thaw();
  };
  EXPECT_THAT(Put("2"), IsOk());
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_EQ(InRow("batch"), 2);
  EXPECT_THAT(Stored(), Optional(std::string("2")));
}

// The process that serves the writer is frozen before it carries out the commit, and goes on when the commit has long
// been sent again. Then it must not happen a second time.
TEST_F(WriterFaultsTest, LateStatementIsFenced) {
  options_.commit_timeout = absl::Milliseconds(100);
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  pid_t frozen = 0;
  Once(Step::kSend, [&] {
    frozen = Backend();
    ASSERT_GT(frozen, 0);
    kill(frozen, SIGSTOP);
  });
  EXPECT_THAT(Put("late"), IsOk());
  EXPECT_EQ(store_->ResolvedCommits(), 1);
  EXPECT_THAT(Put("newest"), IsOk());
  EXPECT_EQ(InRow("batch"), 3);
  kill(frozen, SIGCONT);
  // It ends when it finds that nobody waits for it.
  while (
      cluster_.Execute(absl::StrCat("SELECT count(*) FROM pg_stat_activity WHERE pid = ", frozen)).rows[0].Int(0, 0) >
      0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(InRow("batch"), 3);
  EXPECT_THAT(Stored(), Optional(std::string("newest")));
  EXPECT_THAT(Put("4"), IsOk());
}

TEST_F(WriterFaultsTest, OutageThatLastsTooLongEndsTheWriter) {
  options_.outage_max = absl::Milliseconds(200);
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  server_.Kill();
  const absl::Status failed = Put("2");
  EXPECT_EQ(failed.code(), absl::StatusCode::kUnavailable) << failed;
  EXPECT_FALSE(IsNotOwner(failed));
  server_.Start();
  EXPECT_EQ(Put("3"), failed) << "a writer goes on after a failure";
  EXPECT_THAT(Stored(), Optional(std::string("1")));
}

TEST_F(WriterFaultsTest, LostCommitsAreFoundByTheNextCommit) {
  Open();
  for (const char* value : {"1", "2", "3"}) ASSERT_THAT(Put(value), IsOk());
  // As after a fail-over to a standby that was behind.
  cluster_.Execute("UPDATE hf_writer SET batch = 2 WHERE lane = -1");
  EXPECT_THAT(Put("4"), IsStatus(absl::StatusCode::kDataLoss, "lost commits"));
  EXPECT_THAT(Put("5"), IsStatus(absl::StatusCode::kDataLoss, "lost commits"));
  EXPECT_THAT(Stored(), Optional(std::string("3")));
}

TEST_F(WriterFaultsTest, LostWriterIsDataLoss) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  cluster_.Execute("DELETE FROM hf_writer");
  EXPECT_THAT(Put("2"), IsStatus(absl::StatusCode::kDataLoss, "is gone"));
}

// The row that says that the writer is another's could be lost itself with its server.
TEST_F(WriterFaultsTest, OwnerThatIsNotOnTheStandbyDoesNotCount) {
  options_.commit_timeout = absl::Milliseconds(300);
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  cluster_.Execute("UPDATE hf_writer SET owner = 'another', epoch = epoch + 1");
  HoldCommits();
  int resolving = 0;
  on_step_ = [&](Step step) {
    if (step == Step::kResolve && ++resolving == 2) ReleaseCommits();
  };
  EXPECT_TRUE(IsNotOwner(Put("2")));
  EXPECT_GE(resolving, 2);
}

// The claim itself was lost, and another process has claimed the writer with the same epoch.
TEST_F(WriterFaultsTest, EpochThatTwoProcessesHaveFencesTheFirst) {
  Open();
  ASSERT_THAT(Put("1"), IsOk());
  cluster_.Execute("UPDATE hf_writer SET owner = 'another'");
  EXPECT_TRUE(IsNotOwner(Put("2")));
  EXPECT_THAT(Stored(), Optional(std::string("1")));
}

TEST_F(WriterFaultsTest, LostCommitsAreFoundByTheHeartbeat) {
  options_.lease = absl::Milliseconds(60);
  absl::Status told;
  absl::Notification lost;
  options_.on_failure = [&](const absl::Status& status) {
    told = status;
    lost.Notify();
  };
  Open();
  for (const char* value : {"1", "2"}) ASSERT_THAT(Put(value), IsOk());
  cluster_.Execute("UPDATE hf_writer SET batch = 1 WHERE lane = -1");
  lost.WaitForNotification();
  EXPECT_THAT(told, IsStatus(absl::StatusCode::kDataLoss, "lost commits"));
  EXPECT_EQ(Put("3"), told);
}

// --- Take-over and leases, without faults of the server.

class WriterTest : public testing::Test {
 protected:
  absl::Status Put(Store& store, const std::string& value) { return Commit(store, {{kObject, OnePut("k", value)}}); }

  TestCluster cluster_;
};

TEST_F(WriterTest, SecondProcessIsRefusedWhileTheFirstIsAlive) {
  PostgresOptions first = cluster_.NewProcess();
  first.node = "node-a";
  first.lease = absl::Milliseconds(1500);
  const auto store = OpenOrDie(first);
  PostgresOptions second = cluster_.NewProcess();
  EXPECT_THAT(OpenPostgresStore(second).status(),
              IsStatus(absl::StatusCode::kFailedPrecondition, "in use by the node \"node-a\" at 127.0.0.1:1"));
  EXPECT_THAT(Put(*store, "1"), IsOk());
}

TEST_F(WriterTest, SecondProcessTakesOverAfterTheLeaseAndFencesTheFirst) {
  PostgresOptions first = cluster_.NewProcess();
  first.executors = 2;
  first.lease = absl::Hours(1);  // writes nothing meanwhile, as if it were cut off
  const auto cut_off = OpenOrDie(first);
  ASSERT_THAT(Put(*cut_off, "1"), IsOk());

  PostgresOptions second = cluster_.NewProcess();
  second.boot_time = [hours = 0]() mutable { return absl::Hours(++hours); };
  second.look_gap_max = absl::InfiniteDuration();
  const auto owner = OpenOrDie(second);
  const auto map = owner->membership().Look();
  ASSERT_THAT(map, IsOk());
  const Member* const dead = map->Find(first.owner);
  ASSERT_NE(dead, nullptr);
  EXPECT_TRUE(owner->silence().IsSilent(*dead));
  PostgresOptions recovery = cluster_.NewProcess();
  {
    const auto recovered = RecoverPostgresStore(recovery, *dead);
    ASSERT_THAT(recovered, IsOk());
    EXPECT_THAT(Put(**recovered, "2"), IsOk());
    EXPECT_EQ(RecoverPostgresStore(cluster_.NewProcess(), *dead).status().code(), absl::StatusCode::kAborted);
  }
  for (int i = 0; i < 2; ++i) {
    const absl::Status refused = Put(*cut_off, "3");
    EXPECT_TRUE(IsNotOwner(refused)) << refused;
  }
  EXPECT_THAT(FindAt(*owner, kObject, "k"), Optional(std::string("2")));
  EXPECT_THAT(Put(*owner, "4"), IsOk());
}

TEST_F(WriterTest, FencedProcessIsToldWithoutACommit) {
  PostgresOptions first = cluster_.NewProcess();
  first.lease = absl::Milliseconds(60);
  absl::Notification lost;
  absl::Status why;
  first.on_failure = [&](const absl::Status& status) {
    why = status;
    lost.Notify();
  };
  const auto store = OpenOrDie(first);
  cluster_.Execute("UPDATE hf_writer SET epoch = epoch + 1, owner = 'another', node = 'node-b'");
  lost.WaitForNotification();
  EXPECT_TRUE(IsNotOwner(why)) << why;
  EXPECT_THAT(why.ToString(), testing::HasSubstr("node-b"));
}

TEST_F(WriterTest, ProcessThatEndsInOrderIsNotWaitedFor) {
  PostgresOptions options = cluster_.NewProcess();
  options.lease = absl::Hours(1);
  for (int i = 0; i < 3; ++i) {
    options.owner = absl::StrCat("run", i);
    const auto store = OpenOrDie(options);
    EXPECT_THAT(Put(*store, absl::StrCat(i)), IsOk());
  }
}

TEST_F(WriterTest, OfTwoThatTakeOverAtOnceOneWins) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> won = 0;
    std::atomic<int> opened = 0;
    absl::Notification all_opened;
    std::vector<std::thread> threads;
    std::vector<PostgresOptions> options = {cluster_.NewProcess(), cluster_.NewProcess(), cluster_.NewProcess()};
    for (PostgresOptions& each : options) each.lease = absl::Milliseconds(900);
    for (const PostgresOptions& each : options) {
      threads.emplace_back([&, each] {
        const auto store = OpenPostgresStore(each);
        // A winner holds what it has until the others have tried.
        if (++opened == 3) all_opened.Notify();
        all_opened.WaitForNotification();
        if (!store.ok()) {
          EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition) << store.status();
          return;
        }
        ++won;
        EXPECT_THAT(Put(**store, each.owner), IsOk());
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
  }
}

TEST_F(WriterTest, LeaseCountsFromWhenTheWriteWasSent) {
  std::atomic<int64_t> seconds = 1000;
  PostgresOptions options = cluster_.NewProcess();
  options.lease = absl::Hours(1);
  options.boot_time = [&] { return absl::Seconds(seconds.load()); };
  // The answer takes three seconds.
  options.on_step = [&](Step step) {
    if (step == Step::kSent) seconds += 3;
  };
  const auto store = OpenOrDie(options);
  EXPECT_EQ(store->LeaseAge(), absl::ZeroDuration());
  seconds += 10;
  EXPECT_EQ(store->LeaseAge(), absl::Seconds(10));
  ASSERT_THAT(Put(*store, "1"), IsOk());
  EXPECT_EQ(store->LeaseAge(), absl::Seconds(3));
}

TEST_F(WriterTest, LeaseEndsWhenNoWriteWasAcknowledgedForSoLong) {
  std::atomic<int64_t> seconds = 1000;
  PostgresOptions options = cluster_.NewProcess();
  options.lease = absl::Hours(1);
  options.boot_time = [&] { return absl::Seconds(seconds.load()); };
  const auto store = OpenOrDie(options);
  EXPECT_TRUE(store->HoldsLease());
  seconds += 3599;
  EXPECT_TRUE(store->HoldsLease());
  ++seconds;
  EXPECT_FALSE(store->HoldsLease());
  // The machine may have slept: a commit finds out that the process is still the owner.
  ASSERT_THAT(Put(*store, "1"), IsOk());
  EXPECT_TRUE(store->HoldsLease());
}

TEST_F(WriterTest, HeartbeatRenewsTheLease) {
  PostgresOptions options = cluster_.NewProcess();
  options.lease = absl::Milliseconds(90);
  const auto store = OpenOrDie(options);
  const auto beat = [&] { return cluster_.Execute("SELECT min(beat) FROM hf_writer").rows[0].Int(0, 0); };
  const int64_t first = beat();
  while (beat() < first + 3) std::this_thread::yield();
}

TEST_F(WriterTest, KeyThatIsTooLongIsRefusedAndTheWriterGoesOn) {
  const auto store = OpenOrDie(cluster_.NewProcess());
  EXPECT_THAT(Commit(*store, {{kObject, OnePut(std::string(3000, 'k'), "1")}}),
              IsStatus(absl::StatusCode::kInvalidArgument, "a key of 3000 bytes"));
  EXPECT_THAT(Put(*store, "1"), IsOk());
}

TEST_F(WriterTest, LargeBatchIsOneCommit) {
  const auto store = OpenOrDie(cluster_.NewProcess());
  WriteSet set;
  std::string value(1 << 20, '\0');
  for (int i = 0; i < 40; ++i) {
    for (char& c : value) c = static_cast<char>(c * 31 + i + 1);
    set.Put(absl::StrCat("key", i), value);
  }
  ASSERT_THAT(Commit(*store, {{kObject, set}}), IsOk());
  EXPECT_EQ(cluster_.Execute("SELECT max(batch) FROM hf_writer").rows[0].Int(0, 0), 1);
  const auto walked = Walk(*store->NewCursor(kObject, KeyRange::All(), ReadTier::kDisk), false);
  ASSERT_EQ(walked.size(), 40u);
  for (const auto& [key, stored] : walked) EXPECT_TRUE(set.points().at(key) == stored) << key;
}

}  // namespace
}  // namespace holdfast::storage::postgres
