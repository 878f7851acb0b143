// The log and the fold: reads see what is logged on top of the store, a fold writes it coalesced, and after a crash at
// any step the next start has every batch that was acknowledged, and of the others all or nothing.

#include "storage/fold/logged_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/log/file_commit_logs.h"
#include "tests/simulation/forwarding_store.h"
#include "tests/simulation/manual_background.h"
#include "tests/simulation/memory_logs.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using simulation::LogState;
using simulation::MemoryLogs;
using testing::ElementsAre;
using testing::Pair;

const Location kA = {FamilyId::kPacked, "a/"};
const Location kB = {FamilyId::kPacked, "b/"};

// A store whose contents outlive it: a test keeps the whole across the lives of LoggedStores.
class Kept : public simulation::ForwardingStore {
 public:
  explicit Kept(Store* store) : ForwardingStore(store) {}
  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    ++commits;
    points = 0;
    for (const KeyspaceWrites& part : writes) points += part.writes->points().size();
    return ForwardingStore::CommitSync(writes);
  }

  int commits = 0;
  size_t points = 0;  // of the last commit
};

class LoggedStoreTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<LoggedStore>> TryOpen(uint32_t logs = 1) {
    auto kept = std::make_unique<Kept>(&below_);
    kept_ = kept.get();
    LoggedStoreOptions options;
    options.logs = logs;
    options.fold_every = absl::InfiniteDuration();
    options.unfolded_bytes_max = unfolded_bytes_max_;
    options.on_failure = [this](const absl::Status& status) { failures_.push_back(status); };
    return LoggedStore::Open(std::move(kept), std::make_unique<MemoryLogs>(state_), std::move(options));
  }
  std::unique_ptr<LoggedStore> Open(uint32_t logs = 1) {
    auto store = TryOpen(logs);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static absl::Status Put(Store& store, const Location& at, const std::string& key, const std::string& value) {
    return Commit(store, {{at, OnePut(key, value)}});
  }
  static std::optional<std::string> Get(Store& store, const Location& at, const std::string& key) {
    std::string value;
    absl::Status error;
    const ReadResult found = store.Get(at, key, ReadTier::kDisk, &value, &error);
    EXPECT_NE(found, ReadResult::kError) << error;
    return found == ReadResult::kFound ? std::optional(value) : std::nullopt;
  }

  size_t unfolded_bytes_max_ = 1 << 20;
  MemoryStore below_;
  std::shared_ptr<LogState> state_ = std::make_shared<LogState>();
  std::vector<absl::Status> failures_;
  Kept* kept_ = nullptr;
};

TEST_F(LoggedStoreTest, ACommitIsReadAtOnceAndWrittenByTheFold) {
  auto store = Open();
  const int before = kept_->commits;
  for (int i = 0; i < 1000; ++i) ASSERT_THAT(Put(*store, kA, "count", absl::StrCat(i)), IsOk());
  ASSERT_THAT(Put(*store, kB, "row", "came"), IsOk());
  WriteSet removal;
  removal.Delete("row");
  ASSERT_THAT(Commit(*store, {{kB, removal}}), IsOk());
  EXPECT_EQ(kept_->commits, before);
  EXPECT_EQ(Get(*store, kA, "count"), "999");
  EXPECT_EQ(Get(*store, kB, "row"), std::nullopt);
  EXPECT_EQ(Get(below_, kA, "count"), std::nullopt);

  ASSERT_THAT(store->Fold(), IsOk());
  EXPECT_EQ(kept_->commits, before + 1);
  EXPECT_EQ(kept_->points, 4u);  // the counter, the removal, and the log's mark with its copy
  EXPECT_EQ(Get(below_, kA, "count"), "999");
  EXPECT_EQ(Get(*store, kA, "count"), "999");
  EXPECT_EQ(store->unfolded_bytes(), 0u);
  EXPECT_TRUE(state_->logs[0].batches.empty());

  ASSERT_THAT(store->Fold(), IsOk());
  EXPECT_EQ(kept_->commits, before + 1) << "there was nothing to fold";
}

TEST_F(LoggedStoreTest, ACrashLosesNothing) {
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "folded"), IsOk());
  ASSERT_THAT(store->Fold(), IsOk());
  ASSERT_THAT(Put(*store, kA, "k", "logged"), IsOk());
  ASSERT_THAT(Put(*store, kA, "l", "logged"), IsOk());
  // The crash: the next store opens beside this one, whose end is never seen.
  auto next = Open();
  EXPECT_EQ(Get(*next, kA, "k"), "logged");
  EXPECT_EQ(Get(below_, kA, "l"), "logged") << "recovery folds";
  ASSERT_THAT(Put(*next, kA, "k", "after"), IsOk());
  EXPECT_EQ(Get(*Open(), kA, "k"), "after");
  state_->append_error = absl::InternalError("the test ends");  // the first stores write nothing any more
}

TEST_F(LoggedStoreTest, MoreOrFewerExecutorsChangeNothing) {
  for (const uint32_t logs : {3U, 1U, 2U, 4U, 1U}) {
    SCOPED_TRACE(logs);
    auto store = Open(logs);
    for (uint32_t log = 0; log < logs; ++log) {
      const Location at = {FamilyId::kPacked, absl::StrCat(log, "/")};
      ASSERT_THAT(Put(*store->ForExecutor(static_cast<int>(log)), at, "k", absl::StrCat(logs)), IsOk());
      EXPECT_EQ(Get(*store, at, "k"), absl::StrCat(logs));
    }
    EXPECT_EQ(state_->logs.size(), logs);
    auto next = Open(logs);
    for (uint32_t log = 0; log < logs; ++log) {
      EXPECT_EQ(Get(*next, {FamilyId::kPacked, absl::StrCat(log, "/")}, "k"), absl::StrCat(logs));
    }
    next = nullptr;
    store = nullptr;
  }
  EXPECT_TRUE(failures_.empty());
}

TEST_F(LoggedStoreTest, ALogThatIsGoneIsDataLoss) {
  {
    auto store = Open(2);
    ASSERT_THAT(Put(*store->ForExecutor(1), kA, "k", "v"), IsOk());
  }
  const LogState::Log gone = state_->logs[1];
  state_->logs.erase(1);
  EXPECT_THAT(TryOpen().status(), IsStatus(absl::StatusCode::kDataLoss, "log 1 is missing"));
  state_->logs[1] = gone;
  { auto store = Open(1); }
  EXPECT_FALSE(state_->logs.contains(1)) << "it was retired";
  { auto store = Open(1); }
}

TEST_F(LoggedStoreTest, ALogThatBeginsBehindTheMarkIsDataLoss) {
  auto store = Open();
  for (int i = 0; i < 3; ++i) ASSERT_THAT(Put(*store, kA, "k", absl::StrCat(i)), IsOk());
  state_->logs[0].batches.erase(1);
  EXPECT_THAT(TryOpen().status(), IsStatus(absl::StatusCode::kDataLoss, "log 0"));
}

TEST_F(LoggedStoreTest, MarksThatCannotBeReadAreReadFromTheirCopies) {
  {
    auto store = Open();
    ASSERT_THAT(Put(*store, kA, "k", "v"), IsOk());
    ASSERT_THAT(store->Fold(), IsOk());
    ASSERT_THAT(Put(*store, kA, "k", "w"), IsOk());
    below_.set_commit_error(absl::InternalError("the test crashes"));
  }
  below_.set_commit_error(absl::OkStatus());
  ASSERT_THAT(Commit(below_, {{WholeFamily(FamilyId::kNode), OnePut(std::string("log\0\0\0\0", 7), "garbled")}}),
              IsOk());
  EXPECT_EQ(Get(*Open(), kA, "k"), "w");
}

TEST_F(LoggedStoreTest, ABatchThatCannotBeReadIsDataLoss) {
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "v"), IsOk());
  state_->logs[0].batches[1].pop_back();
  EXPECT_THAT(TryOpen().status(), IsStatus(absl::StatusCode::kDataLoss, "garbled"));
}

TEST_F(LoggedStoreTest, AFailedAppendLeavesNothingVisible) {
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "before"), IsOk());
  state_->append_error = absl::InternalError("the disk of the test failed");
  EXPECT_THAT(Put(*store, kA, "k", "after"), IsStatus(absl::StatusCode::kInternal, "the disk of the test failed"));
  EXPECT_EQ(Get(*store, kA, "k"), "before");
  // Nothing more is written, though the disk works again: not even the mark of an orderly end.
  state_->append_error = absl::OkStatus();
  EXPECT_THAT(Put(*store, kA, "k", "later"), IsStatus(absl::StatusCode::kInternal, "the disk of the test failed"));
  store = nullptr;
  EXPECT_FALSE(state_->logs[0].closed);
  EXPECT_EQ(Get(*Open(), kA, "k"), "before");
}

TEST_F(LoggedStoreTest, AFoldThatFailsStopsCommits) {
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "v"), IsOk());
  below_.set_commit_error(absl::InternalError("the disk of the test failed"));
  EXPECT_THAT(store->Fold(), IsStatus(absl::StatusCode::kInternal, "the disk of the test failed"));
  EXPECT_THAT(Put(*store, kA, "k", "w"), IsStatus(absl::StatusCode::kInternal, "the disk of the test failed"));
  EXPECT_THAT(store->Fold(), IsStatus(absl::StatusCode::kInternal, "the disk of the test failed"));
  EXPECT_EQ(failures_.size(), 1u);
  EXPECT_EQ(Get(*store, kA, "k"), "v");
  store = nullptr;
  below_.set_commit_error(absl::OkStatus());
  EXPECT_EQ(Get(*Open(), kA, "k"), "v");
}

TEST_F(LoggedStoreTest, ALargeBatchGoesToTheStore) {
  state_->payload_bytes_max = 1000;
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "first"), IsOk());
  ASSERT_THAT(Commit(*store, {{kA, Puts({{"k", "second"}, {"large", std::string(2000, 'x')}})}}), IsOk());
  EXPECT_EQ(Get(below_, kA, "k"), "second");
  EXPECT_EQ(Get(*store, kA, "k"), "second");
  ASSERT_THAT(Put(*store, kA, "k", "third"), IsOk());
  EXPECT_EQ(Get(*store, kA, "k"), "third");
  auto next = Open();
  EXPECT_EQ(Get(*next, kA, "k"), "third");
  EXPECT_EQ(Get(*next, kA, "large"), std::string(2000, 'x'));
}

TEST_F(LoggedStoreTest, AStoreThatHasLostALargeBatchIsFound) {
  state_->payload_bytes_max = 1000;
  auto store = Open();
  ASSERT_THAT(Put(*store, kA, "k", "first"), IsOk());
  ASSERT_THAT(store->Fold(), IsOk());
  const Entries marks = Dump(below_, FamilyId::kNode);
  ASSERT_THAT(Put(*store, kA, "k", std::string(2000, 'x')), IsOk());
  // The store below is again as it was before its last commit.
  WriteSet before;
  for (const auto& [key, value] : marks) before.Put(key, value);
  ASSERT_THAT(Commit(below_, {{kA, OnePut("k", "first")}, {WholeFamily(FamilyId::kNode), before}}), IsOk());
  EXPECT_THAT(TryOpen().status(), IsStatus(absl::StatusCode::kDataLoss, "log 0"));
}

TEST_F(LoggedStoreTest, WithoutAThreadACommitFoldsWhenTheLogIsHalfFull) {
  state_->payload_bytes_max = 100'000;
  auto store = Open();
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(Put(*store, kA, "k", std::string(1000, 'x')), IsOk());
    ASSERT_LE(state_->logs[0].batches.size(), 50u);
  }
}

TEST_F(LoggedStoreTest, AFamilyThatCannotBeDroppedStays) {
  auto store = Open();
  const FamilyId own = *store->CreateFamily("own");
  ASSERT_THAT(store->DropFamily(own), IsOk());
  ASSERT_THAT(below_.DropFamily(own), IsOk());  // so the fold's drop fails
  ASSERT_THAT(store->Fold(), IsOk());
  EXPECT_TRUE(failures_.empty());
  ASSERT_THAT(Put(*store, kA, "k", "v"), IsOk());
}

TEST_F(LoggedStoreTest, MemoryIsBounded) {
  unfolded_bytes_max_ = 20'000;
  auto store = Open();
  for (int i = 0; i < 200; ++i) {
    ASSERT_THAT(Put(*store, {FamilyId::kPacked, absl::StrCat(i, "/")}, "k", std::string(1000, 'x')), IsOk());
    ASSERT_LT(store->unfolded_bytes(), unfolded_bytes_max_ + 2000);
  }
}

TEST_F(LoggedStoreTest, AFamilyIsDroppedByTheNextFold) {
  auto store = Open();
  const FamilyId own = *store->CreateFamily("own");
  ASSERT_THAT(Put(*store, WholeFamily(own), "k", "v"), IsOk());
  ASSERT_THAT(store->DropFamily(own), IsOk());
  EXPECT_THAT(store->ListOwnFamilies(), testing::IsEmpty());
  EXPECT_EQ(below_.ListOwnFamilies().size(), 1u);
  // A crash now replays the batch that names the family.
  { auto next = Open(); }
  ASSERT_THAT(store->Fold(), IsOk());
  EXPECT_TRUE(below_.ListOwnFamilies().empty());
}

TEST_F(LoggedStoreTest, AFamilyThatALogNamesMustBeThere) {
  auto store = Open();
  const FamilyId own = *store->CreateFamily("own");
  ASSERT_THAT(Put(*store, WholeFamily(own), "k", "v"), IsOk());
  ASSERT_THAT(below_.DropFamily(own), IsOk());
  EXPECT_THAT(TryOpen().status(), IsStatus(absl::StatusCode::kDataLoss, "the family own is missing"));
  below_.set_commit_error(absl::InternalError("the test ends"));
}

TEST_F(LoggedStoreTest, ACursorSeesOneMoment) {
  auto store = Open();
  ASSERT_THAT(Commit(*store, {{kA, Puts({{"a", "1"}, {"b", "1"}})}}), IsOk());
  ASSERT_THAT(store->Fold(), IsOk());
  ASSERT_THAT(Put(*store, kA, "c", "1"), IsOk());
  auto cursor = store->NewCursor(kA, KeyRange::All(), ReadTier::kDisk);
  ASSERT_THAT(Commit(*store, {{kA, Puts({{"a", "2"}, {"c", "2"}, {"d", "2"}})}}), IsOk());
  auto second = store->NewCursor(kA, KeyRange::All(), ReadTier::kDisk);
  ASSERT_THAT(Put(*store, kA, "d", "3"), IsOk());
  ASSERT_THAT(store->Fold(), IsOk());
  EXPECT_THAT(Walk(*cursor, false), ElementsAre(Pair("a", "1"), Pair("b", "1"), Pair("c", "1")));
  EXPECT_THAT(Walk(*second, true), ElementsAre(Pair("d", "2"), Pair("c", "2"), Pair("b", "1"), Pair("a", "2")));
  EXPECT_THAT(Walk(*store->NewCursor(kA, KeyRange::All(), ReadTier::kDisk), false),
              ElementsAre(Pair("a", "2"), Pair("b", "1"), Pair("c", "2"), Pair("d", "3")));
  cursor = nullptr;
  ASSERT_THAT(Put(*store, kA, "d", "4"), IsOk());
  EXPECT_EQ(Get(*store, kA, "d"), "4");
}

TEST(UnfoldedTest, SetsStayFewWhileThereIsAlwaysASnapshot) {
  Unfolded unfolded;
  std::optional<Unfolded::Snapshot> snapshot;
  size_t longest = 0;
  for (BatchNumber batch = 1; batch <= 2000; ++batch) {
    Unfolded::Snapshot next = unfolded.Take(kA);
    longest = std::max(longest, next.Layers().size());
    snapshot.emplace(std::move(next));
    WriteSet writes = OnePut(absl::StrCat(1000 + batch), "value");
    const KeyspaceWrites part{&kA, &writes};
    unfolded.Add(0, batch, {&part, 1});
  }
  EXPECT_LE(longest, 12u);
  std::string value;
  for (int key = 1001; key <= 3000; ++key) {
    ASSERT_EQ(unfolded.Find(kA, absl::StrCat(key), &value), WriteSet::Verdict::kPresent) << key;
  }
  snapshot.reset();
  WriteSet writes = OnePut("last", "value");
  const KeyspaceWrites part{&kA, &writes};
  unfolded.Add(0, 2001, {&part, 1});
  EXPECT_EQ(unfolded.Take(kA).Layers().size(), 1u);
  const size_t bytes = unfolded.bytes();
  EXPECT_EQ(unfolded.BeginFold().bytes, bytes);
  unfolded.EndFold();
  EXPECT_EQ(unfolded.bytes(), 0u);
}

// --- A model: every batch is acknowledged, or was cut off by a crash and then happened whole or not at all.

class ModelRun {
 public:
  explicit ModelRun(Random* random) : random_(*random) {}

  void Run() {
    for (int life = 0; life < 6; ++life) {
      Open();
      if (testing::Test::HasFailure()) return;
      const uint64_t steps = random_.Below(40);
      for (uint64_t step = 0; step < steps && !testing::Test::HasFailure(); ++step) Step();
      End();
    }
  }

 private:
  static constexpr int kLanes = 3;

  void Open() {
    LoggedStoreOptions options;
    options.logs = 1 + static_cast<uint32_t>(random_.Below(kLanes));
    lanes_ = options.logs;
    options.fold_every = absl::InfiniteDuration();
    options.unfolded_bytes_max = random_.OneIn(3) ? 500 : 1 << 20;
    options.fold_bytes = random_.OneIn(3) ? 300 : 1 << 20;
    state_->payload_bytes_max = random_.OneIn(3) ? 120 : 1 << 20;
    auto store =
        LoggedStore::Open(std::make_unique<Kept>(&below_), std::make_unique<MemoryLogs>(state_), std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    if (maybe_) {
      // The batch that was cut off happened as a whole, or not at all.
      if (Dump(*store_, FamilyId::kPacked) == *maybe_) model_ = *maybe_;
      maybe_.reset();
    }
    Check();
  }

  void Check() {
    ASSERT_EQ(Dump(*store_, FamilyId::kPacked), model_);
    for (int lane = 0; lane < kLanes; ++lane) {
      Entries own;
      for (const auto& [key, value] : model_) {
        if (key.starts_with(PrefixOf(lane))) own[key.substr(2)] = value;
      }
      for (const bool reverse : {false, true}) {
        auto entries = Walk(*store_->NewCursor(At(lane), KeyRange::All(), ReadTier::kDisk), reverse);
        ASSERT_EQ(Entries(entries.begin(), entries.end()), own);
        ASSERT_EQ(entries.size(), own.size());
      }
      const std::string& key = RandomKey(random_);
      std::string value;
      absl::Status error;
      const bool found = store_->Get(At(lane), key, ReadTier::kDisk, &value, &error) == ReadResult::kFound;
      ASSERT_EQ(found, own.contains(key));
      if (found) ASSERT_EQ(value, own[key]);
    }
  }

  static std::string PrefixOf(int lane) { return absl::StrCat(lane, "/"); }
  static Location At(int lane) { return {FamilyId::kPacked, PrefixOf(lane)}; }

  WriteSet Writes(int keyspace) {
    WriteSet set = RandomWrites(random_, 6);
    AddRandomChanges(random_, model_, PrefixOf(keyspace), &set);
    return set;
  }

  void Step() {
    switch (random_.Below(8)) {
      case 0:
        ASSERT_THAT(store_->Fold(), IsOk());
        break;
      case 1:
        Check();
        break;
      case 2:
        cursors_.push_back(
            store_->NewCursor(At(static_cast<int>(random_.Below(kLanes))), KeyRange::All(), ReadTier::kDisk));
        cursors_.back()->SeekToFirst();
        break;
      case 3:
        if (!cursors_.empty()) cursors_.erase(cursors_.begin() + static_cast<long>(random_.Below(cursors_.size())));
        break;
      default: {
        // Each keyspace has its lane.
        const int lane = static_cast<int>(random_.Below(lanes_));
        std::vector<std::pair<Location, WriteSet>> parts;
        Entries after = model_;
        for (int keyspace = lane; keyspace < kLanes; keyspace += static_cast<int>(lanes_)) {
          parts.emplace_back(At(keyspace), Writes(keyspace));
          Apply(parts.back().second, PrefixOf(keyspace), &after);
        }
        CommitParts(lane, std::move(parts));
        if (testing::Test::HasFailure()) return;
        model_ = std::move(after);
      }
    }
  }

  void CommitParts(int lane, std::vector<std::pair<Location, WriteSet>> parts) {
    Store& through = *store_->ForExecutor(lane);
    if (random_.OneIn(2)) {
      ASSERT_THAT(Commit(through, std::move(parts)), IsOk());
      return;
    }
    std::vector<KeyspaceWrites> writes;
    for (auto& [location, set] : parts) writes.push_back({&location, &set});
    std::optional<absl::Status> ended;
    through.Commit(writes, &background_, [&](const absl::Status& status, absl::Duration) { ended = status; });
    background_.RunAll();
    ASSERT_THAT(ended, testing::Optional(absl::OkStatus()));
  }

  // Ends the store in order, or as a crash does, which may cut a batch off.
  void End() {
    cursors_.clear();
    if (random_.OneIn(3)) {
      store_ = nullptr;
      for (const auto& [number, log] : state_->logs) ASSERT_TRUE(log.closed && log.batches.empty());
      return;
    }
    if (random_.OneIn(2)) {
      state_->keep = random_.OneIn(2);
      state_->append_error = absl::InternalError("the test crashes");
      maybe_ = model_;
      std::vector<std::pair<Location, WriteSet>> parts;
      parts.emplace_back(At(0), Writes(0));
      Apply(parts.back().second, PrefixOf(0), &*maybe_);
      (void)Commit(*store_->ForExecutor(0), std::move(parts));
    }
    // From here on the store below takes nothing: the end of the store cannot fold.
    below_.set_commit_error(absl::InternalError("the test crashes"));
    store_ = nullptr;
    below_.set_commit_error(absl::OkStatus());
    state_->append_error = absl::OkStatus();
  }

  Random& random_;
  MemoryStore below_;
  std::shared_ptr<LogState> state_ = std::make_shared<LogState>();
  std::unique_ptr<LoggedStore> store_;
  simulation::ManualBackground background_;
  std::vector<std::unique_ptr<Cursor>> cursors_;
  uint64_t lanes_ = 1;
  Entries model_;                 // by key with prefix
  std::optional<Entries> maybe_;  // if the batch that was cut off has happened
};

TEST(LoggedStoreModel, HoldsThroughFoldsAndCrashes) {
  ForEachSeed(300, [](Random& random) { ModelRun(&random).Run(); });
}

// --- Threads

TEST(LoggedStoreThreads, ReadersFoldsAndExecutorsTogether) {
  TempDir dir;
  RocksDbOptions below = SmallOptions(dir.path());
  below.sync = false;
  LoggedStoreOptions options;
  options.logs = 2;
  options.fold_every = absl::Milliseconds(1);
  auto logs = std::make_unique<FileCommitLogs>(
      FileCommitLogOptions{.directory = dir.path(), .run = 1, .segment_bytes = 64 << 10, .segments_max = 4});
  auto store = LoggedStore::Open(OpenOrDie(below), std::move(logs), std::move(options));
  ASSERT_TRUE(store.ok()) << store.status();
  constexpr int kCommits = 400;
  std::vector<std::thread> threads;
  for (int lane = 0; lane < 2; ++lane) {
    threads.emplace_back([&, lane] {
      const Location at = {FamilyId::kPacked, absl::StrCat(lane, "/")};
      Store& through = *(*store)->ForExecutor(lane);
      for (int i = 0; i < kCommits; ++i) {
        // The two values are always equal, and never go back.
        ASSERT_THAT(Commit(through, {{at, Puts({{"a", absl::StrCat(i)}, {"b", absl::StrCat(i)}})}}), IsOk());
      }
    });
    threads.emplace_back([&, lane] {
      const Location at = {FamilyId::kPacked, absl::StrCat(lane, "/")};
      std::string last;
      while (last != absl::StrCat(kCommits - 1)) {
        auto entries = Walk(*(*store)->NewCursor(at, KeyRange::All(), ReadTier::kDisk), false);
        if (entries.empty()) continue;
        ASSERT_EQ(entries.size(), 2u);
        ASSERT_EQ(entries[0].second, entries[1].second);
        ASSERT_LE(last.size(), entries[0].second.size());
        last = entries[0].second;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace holdfast::storage
