// The commits of a store: those of several threads at once, those that their caller does not wait for, and refused
// ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/executor/worker_pool.h"
#include "storage/store/store.h"
#include "tests/simulation/node.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

// The writes of a commit, which live while it is under way.
class HeldWrites {
 public:
  explicit HeldWrites(std::vector<std::pair<Location, WriteSet>> parts) : parts_(std::move(parts)) {
    for (auto& [location, set] : parts_) writes_.push_back({&location, &set});
  }
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  absl::Span<const KeyspaceWrites> writes() const { return writes_; }

 private:
  std::vector<std::pair<Location, WriteSet>> parts_;
  std::vector<KeyspaceWrites> writes_;
};

// An executor that the test runs on a thread of its own choice, and a background as the server has it.
class TestLane {
 public:
  explicit TestLane(Store* store) : store_(store) {}
  ~TestLane() { EndCommits(); }

  void Begin(const HeldWrites& writes, CommitDone done) {
    store_->Commit(writes.writes(), &*commits_, std::move(done));
  }
  // Begins a commit, and runs the executor until it has ended.
  absl::Status Commit(std::vector<std::pair<Location, WriteSet>> parts) {
    const HeldWrites writes(std::move(parts));
    std::optional<absl::Status> ended;
    Begin(writes, [&](const absl::Status& status, absl::Duration) { ended = status; });
    RunUntil([&] { return ended.has_value(); });
    return *ended;
  }
  template <typename Reached>
  void RunUntil(Reached reached) {
    while (!reached()) {
      if (!executor_.RunUntilIdle()) std::this_thread::yield();
    }
  }
  // The order in which a server ends: the executor runs nothing more, and the commits under way end.
  void EndCommits() {
    store_->WaitForCommits();
    commits_.reset();
  }
  bool RunUntilIdle() { return executor_.RunUntilIdle(); }

 private:
  Store* const store_;
  simulation::VirtualClock clock_;
  simulation::ManualExecutor executor_{&clock_};
  std::optional<actors::WorkerPool> commits_{std::in_place, &executor_, "commits", 1};
};

const Location kTenKeys = {FamilyId::kPacked, "p"};

// Replaces ten keys by ten keys with this number.
WriteSet TenKeys(int number) {
  WriteSet set = Removes({"0", "5"});
  for (char key = '0'; key <= '9'; ++key) set.Put(std::string(1, key), absl::StrCat(number));
  return set;
}

// Threads that look at the ten keys while commits go on: they see one number or another, never two, and never an
// earlier one again.
class TenKeysReaders {
 public:
  explicit TenKeysReaders(Store* store) {
    for (const bool reverse : {false, true}) threads_.emplace_back([this, store, reverse] { Read(store, reverse); });
  }
  ~TenKeysReaders() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Read(Store* store, bool reverse) {
    int last = 0;
    do {
      auto entries = Walk(*store->NewCursor(kTenKeys, KeyRange::All(), ReadTier::kDisk), reverse);
      ASSERT_EQ(entries.size(), 10u);
      for (const auto& [key, value] : entries) ASSERT_EQ(value, entries[0].second);
      const int now = std::stoi(entries[0].second);
      ASSERT_GE(now, last);
      last = now;
    } while (!done_);
  }

  std::atomic<bool> done_ = false;
  std::vector<std::thread> threads_;
};

class StoreCommitsTest : public StoreParamTest {
 protected:
  TestLane lane_{&store()};
};

TEST_P(StoreCommitsTest, OthersSeeAllOfACommitOrNothing) {
  ASSERT_THAT(Commit(store(), {{kTenKeys, TenKeys(0)}}), IsOk());
  const TenKeysReaders readers(&store());
  for (int number = 1; number <= 200; ++number) EXPECT_THAT(Commit(store(), {{kTenKeys, TenKeys(number)}}), IsOk());
}

TEST_P(StoreCommitsTest, ThreadsCommitAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kCommits = 50;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string prefix = absl::StrCat(thread, "/");
      auto own = store().CreateFamily(absl::StrCat("of thread ", thread));
      ASSERT_THAT(own, IsOk());
      for (int i = 0; i < kCommits; ++i) {
        ASSERT_THAT(Commit(store(), {{{FamilyId::kPacked, prefix}, Puts({{absl::StrCat(i), prefix}})},
                                     {{*own, ""}, Puts({{absl::StrCat(i), prefix}})}}),
                    IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Dump(store(), FamilyId::kPacked).size(), static_cast<size_t>(kThreads * kCommits));
  EXPECT_EQ(store().ListOwnFamilies().size(), static_cast<size_t>(kThreads));
  for (const OwnFamily& family : store().ListOwnFamilies()) {
    EXPECT_EQ(Dump(store(), family.id).size(), static_cast<size_t>(kCommits));
  }
}

TEST_P(StoreCommitsTest, CommitToADroppedFamilyAppliesNothing) {
  const FamilyId own = *store().CreateFamily("own");
  ASSERT_THAT(store().DropFamily(own), IsOk());
  const std::vector<std::pair<Location, WriteSet>> parts = {{{FamilyId::kPacked, "p"}, Puts({{"a", "1"}})},
                                                            {{own, ""}, Puts({{"a", "1"}})}};
  for (const absl::Status& status : {Commit(store(), parts), lane_.Commit(parts)}) {
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal, "dropped"));
    EXPECT_FALSE(IsNotOwner(status));
  }
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), IsEmpty());
  EXPECT_THAT(lane_.Commit({parts[0]}), IsOk());
  EXPECT_THAT(Commit(store(), {parts[0]}), IsOk());
}

// --- Commits that the caller does not wait for.

TEST_P(StoreCommitsTest, CommitTellsItsExecutorOnceWhenItIsDurable) {
  const HeldWrites writes(
      {{{FamilyId::kPacked, "p"}, Puts({{"a", "1"}})}, {{FamilyId::kNode, ""}, Puts({{"b", "2"}})}});
  std::vector<absl::Status> told;
  const std::thread::id executor = std::this_thread::get_id();
  lane_.Begin(writes, [&](const absl::Status& status, absl::Duration time) {
    told.push_back(status);
    EXPECT_GT(time, absl::ZeroDuration());
    EXPECT_EQ(std::this_thread::get_id(), executor);
    EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("pa", "1")));
    EXPECT_THAT(Find(store(), FamilyId::kNode, "b"), Optional(std::string("2")));
  });
  EXPECT_THAT(told, IsEmpty()) << "told within the call";
  lane_.EndCommits();
  EXPECT_THAT(told, IsEmpty()) << "told away from the executor";
  EXPECT_TRUE(lane_.RunUntilIdle());
  EXPECT_THAT(told, ElementsAre(IsOk()));
  EXPECT_FALSE(lane_.RunUntilIdle()) << "told twice";
}

// The end of each commit begins the next, as the pipeline does.
TEST_P(StoreCommitsTest, CommitsOfAnExecutorBecomeDurableWholeAndInTheirOrder) {
  constexpr int kCommits = 100;
  ASSERT_THAT(Commit(store(), {{kTenKeys, TenKeys(0)}}), IsOk());
  const TenKeysReaders readers(&store());
  int ended = 0;
  std::unique_ptr<HeldWrites> writes;
  std::function<void()> begin = [&] {
    writes.reset(new HeldWrites({{kTenKeys, TenKeys(ended + 1)}}));
    lane_.Begin(*writes, [&](const absl::Status& status, absl::Duration) {
      EXPECT_THAT(status, IsOk());
      ++ended;
      EXPECT_THAT(Find(store(), FamilyId::kPacked, "p7"), Optional(absl::StrCat(ended)));
      if (ended < kCommits) begin();
    });
  };
  begin();
  lane_.RunUntil([&] { return ended == kCommits; });
}

TEST_P(StoreCommitsTest, ExecutorsCommitAtOnce) {
  constexpr int kCommits = 50;
  std::vector<std::thread> executors;
  for (const char* prefix : {"a/", "b/", "c/"}) {
    executors.emplace_back([&, prefix] {
      TestLane lane(&store());
      for (int i = 0; i < kCommits; ++i) {
        ASSERT_THAT(lane.Commit({{{FamilyId::kPacked, prefix}, Puts({{absl::StrCat(i), prefix}})}}), IsOk());
        ASSERT_THAT(Find(store(), FamilyId::kPacked, absl::StrCat(prefix, i)), Optional(std::string(prefix)));
      }
    });
  }
  for (std::thread& executor : executors) executor.join();
  EXPECT_EQ(Dump(store(), FamilyId::kPacked).size(), 3u * kCommits);
}

TEST_P(StoreCommitsTest, CommitsUnderWayEndBeforeWhatTheyNameGoes) {
  constexpr int kLanes = 8;
  const auto untold = std::make_shared<int>();
  {
    std::deque<HeldWrites> writes;
    std::deque<TestLane> lanes;
    for (int i = 0; i < kLanes; ++i) {
      writes.emplace_back(
          std::vector<std::pair<Location, WriteSet>>{{{FamilyId::kPacked, absl::StrCat(i)}, Puts({{"k", "v"}})}});
      lanes.emplace_back(&store()).Begin(writes.back(), [untold](const absl::Status&, absl::Duration) {
        ADD_FAILURE() << "told though the executor runs no more";
      });
    }
  }
  EXPECT_EQ(Dump(store(), FamilyId::kPacked).size(), static_cast<size_t>(kLanes));
  EXPECT_EQ(untold.use_count(), 1) << "a function is left";
}

// Runs on the stores that can be made to refuse commits.
class RefusingStoreTest : public StoreCommitsTest {};

TEST_P(RefusingStoreTest, RefusedCommitHasNoEffect) {
  const Location packed{FamilyId::kPacked, "p"};
  ASSERT_THAT(Commit(store(), {{packed, Puts({{"a", "1"}, {"b", "2"}})}}), IsOk());
  RowOf(GetParam()).refuse(store());
  WriteSet set = Removes(KeyRange::All());
  set.Put("a", "changed");
  const std::vector<std::pair<Location, WriteSet>> parts = {{packed, set},
                                                            {{FamilyId::kCatalog, ""}, Puts({{"c", "new"}})}};
  for (const absl::Status& status : {Commit(store(), parts), lane_.Commit(parts), lane_.Commit(parts)}) {
    EXPECT_TRUE(IsNotOwner(status)) << status;
  }
  EXPECT_THAT(Dump(store(), FamilyId::kPacked), ElementsAre(Pair("pa", "1"), Pair("pb", "2")));
  EXPECT_THAT(Dump(store(), FamilyId::kCatalog), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreCommitsTest, AllStores(), StoreName);
INSTANTIATE_TEST_SUITE_P(Stores, RefusingStoreTest, StoresThatRefuse(), StoreName);

TEST(NotOwner, IsToldFromFailures) {
  EXPECT_TRUE(IsNotOwner(NotOwner("another process has it")));
  EXPECT_THAT(NotOwner("another process has it"), IsStatus(absl::StatusCode::kUnavailable, "another process has it"));
  EXPECT_FALSE(IsNotOwner(absl::OkStatus()));
  EXPECT_FALSE(IsNotOwner(absl::UnavailableError("another process has it")));
}

}  // namespace
}  // namespace holdfast::storage
