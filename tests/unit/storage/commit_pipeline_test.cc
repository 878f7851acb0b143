#include "storage/commit/commit_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/manual_background.h"
#include "tests/unit/storage/random.h"
#include "tests/unit/storage/stores.h"

namespace holdfast::storage {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

// A MemoryStore that records the sizes of its commits.
class CountingStore : public MemoryStore {
 public:
  struct Counted {
    size_t keyspaces = 0;
    size_t points = 0;
  };

  absl::Status CommitSync(absl::Span<const KeyspaceWrites> writes) override {
    Counted& counted = commits_.emplace_back();
    counted.keyspaces = writes.size();
    for (const KeyspaceWrites& part : writes) counted.points += part.writes->points().size();
    return MemoryStore::CommitSync(writes);
  }
  const std::vector<Counted>& commits() const { return commits_; }

 private:
  std::vector<Counted> commits_;
};

// Commits without a thread of ours, as a store on another machine: a commit is held until the test ends it.
class HeldStore : public MemoryStore {
 public:
  void Commit(absl::Span<const KeyspaceWrites> writes, Background* background, CommitDone done) override {
    EXPECT_FALSE(held_) << "one commit at a time";
    held_.emplace(Held{writes, background, std::move(done)});
  }
  bool holds() const { return held_.has_value(); }
  void End() {
    Held held = *std::exchange(held_, std::nullopt);
    held.background->Post([done = std::move(held.done), status = CommitSync(held.writes)]() mutable {
      done(status, absl::Milliseconds(1));
    });
  }

 private:
  struct Held {
    absl::Span<const KeyspaceWrites> writes;
    Background* background;
    CommitDone done;
  };
  std::optional<Held> held_;
};

auto Commit(size_t keyspaces, size_t points) {
  return AllOf(Field(&CountingStore::Counted::keyspaces, keyspaces), Field(&CountingStore::Counted::points, points));
}

class CommitPipelineTest : public testing::Test {
 protected:
  class NamedWaiter final : public CommitPipeline::Waiter {
   public:
    NamedWaiter(CommitPipelineTest* test, std::string name) : test_(test), name_(std::move(name)) {}
    void OnDurable(const absl::Status& status) override { test_->told_.emplace_back(name_, status); }

   private:
    CommitPipelineTest* const test_;
    const std::string name_;
  };

  void Put(Keyspace* keyspace, const std::string& key, const std::string& value) {
    WriteSet writes;
    writes.Put(key, value);
    pipeline_.Join(keyspace, &writes);
    EXPECT_TRUE(writes.empty());
  }
  void Wait(BatchNumber batch, const std::string& name) {
    pipeline_.WhenDurable(batch, &waiters_.emplace_back(this, name));
  }
  void WaitWithFunction(BatchNumber batch, const std::string& name) {
    pipeline_.WhenDurable(batch, [this, name](const absl::Status& status) { told_.emplace_back(name, status); });
  }
  std::vector<std::string> Told() {
    std::vector<std::string> names;
    for (const auto& [name, status] : told_) names.push_back(name);
    return names;
  }
  std::optional<std::string> Get(const Keyspace& keyspace, const std::string& key) {
    View view(&store_, &keyspace.location(), keyspace.Layers(nullptr), ReadTier::kMemory);
    auto value = view.Get(key);
    EXPECT_THAT(value, IsOk());
    return *value;
  }

  CountingStore store_;
  simulation::ManualBackground committer_;
  std::vector<absl::Status> failures_;
  CommitPipeline pipeline_{&store_, &committer_, [this](const absl::Status& status) { failures_.push_back(status); }};
  Keyspace a_{{FamilyId::kPacked, "a/"}};
  Keyspace b_{{FamilyId::kPacked, "b/"}};
  std::deque<NamedWaiter> waiters_;
  std::vector<std::pair<std::string, absl::Status>> told_;
};

TEST_F(CommitPipelineTest, NothingIsCommittedUnlessSubmitted) {
  EXPECT_TRUE(pipeline_.idle());
  Put(&a_, "k", "1");
  EXPECT_FALSE(pipeline_.idle());
  EXPECT_EQ(committer_.waiting(), 0u);
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 1u);
  EXPECT_EQ(pipeline_.durable(), 0u);
  committer_.RunOne();
  EXPECT_EQ(pipeline_.durable(), 1u);
  EXPECT_EQ(pipeline_.filling(), 2u);
  EXPECT_TRUE(pipeline_.idle());
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "a/k"), Optional(std::string("1")));
}

TEST_F(CommitPipelineTest, EmptyBatchIsNotCommitted) {
  WriteSet nothing;
  pipeline_.Join(&a_, &nothing);
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 0u);
  EXPECT_EQ(pipeline_.filling(), 1u);
  EXPECT_TRUE(pipeline_.idle());
}

TEST_F(CommitPipelineTest, ALonelyWriteIsCommittedWithinSubmit) {
  CommitPipeline pipeline(&store_, &committer_, nullptr, absl::Hours(1));
  const auto submit = [&](int waiters) {
    WriteSet writes;
    writes.Put("k", absl::StrCat(pipeline.filling()));
    pipeline.Join(&a_, &writes);
    for (int i = 0; i < waiters; ++i) {
      pipeline.WhenDurable(pipeline.filling(), &waiters_.emplace_back(this, absl::StrCat(pipeline.filling())));
    }
    pipeline.Submit();
  };
  submit(1);
  EXPECT_EQ(committer_.waiting(), 1u) << "nobody knows yet how long a commit takes";
  submit(1);
  EXPECT_EQ(committer_.waiting(), 1u) << "one is on its way";
  committer_.RunOne();
  EXPECT_EQ(committer_.waiting(), 1u) << "who waited for the first is not to wait for the second";
  committer_.RunOne();
  EXPECT_THAT(Told(), ElementsAre("1", "2"));

  submit(1);
  EXPECT_EQ(committer_.waiting(), 0u);
  EXPECT_EQ(pipeline.durable(), 3u);
  EXPECT_TRUE(pipeline.idle());
  EXPECT_THAT(Told(), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "a/k"), Optional(std::string("3")));

  submit(2);
  EXPECT_EQ(committer_.waiting(), 1u) << "two are not alone";
  committer_.RunOne();
}

TEST_F(CommitPipelineTest, NothingIsCommittedWithinSubmitWhileTheDiskIsSlow) {
  CommitPipeline pipeline(&store_, &committer_, nullptr, absl::Nanoseconds(0.25));
  for (int i = 0; i < 3; ++i) {
    WriteSet writes;
    writes.Put("k", "v");
    pipeline.Join(&a_, &writes);
    pipeline.WhenDurable(pipeline.filling(), &waiters_.emplace_back(this, "w"));
    pipeline.Submit();
    EXPECT_EQ(committer_.waiting(), 1u);
    committer_.RunOne();
  }
}

TEST_F(CommitPipelineTest, OneBatchIsInFlight) {
  Put(&a_, "k", "1");
  pipeline_.Submit();
  Put(&a_, "k", "2");
  pipeline_.Submit();
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 1u);
  EXPECT_EQ(pipeline_.filling(), 2u);
  committer_.RunOne();
  EXPECT_EQ(committer_.waiting(), 1u) << "what gathered meanwhile goes at once";
  EXPECT_EQ(pipeline_.durable(), 1u);
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 1u);
  committer_.RunOne();
  EXPECT_EQ(pipeline_.durable(), 2u);
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "a/k"), Optional(std::string("2")));
}

TEST_F(CommitPipelineTest, ThousandTurnsOfAKeyAreOneWrite) {
  for (int i = 1; i <= 1000; ++i) Put(&a_, "counter", absl::StrCat(i));
  Put(&b_, "counter", "1");
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_THAT(store_.commits(), ElementsAre(Commit(2, 2)));
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "a/counter"), Optional(std::string("1000")));
}

TEST_F(CommitPipelineTest, TurnsOfABatchCommitTogether) {
  const FamilyId own = *store_.CreateFamily("own");
  Keyspace own_keyspace({own, ""});
  Keyspace catalog({FamilyId::kCatalog, ""});
  Put(&a_, "k", "1");
  Put(&own_keyspace, "k", "2");
  Put(&catalog, "object", "3");
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_THAT(store_.commits(), ElementsAre(Commit(3, 3)));
  EXPECT_THAT(Dump(store_, own), ElementsAre(Pair("k", "2")));
  EXPECT_THAT(Dump(store_, FamilyId::kCatalog), ElementsAre(Pair("object", "3")));
}

TEST_F(CommitPipelineTest, LaterRangeRemovesWhatJoinedBefore) {
  Put(&a_, "k", "1");
  WriteSet removal;
  removal.DeleteRange(KeyRange::All());
  pipeline_.Join(&a_, &removal);
  Put(&a_, "l", "2");
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_THAT(Dump(store_, FamilyId::kPacked), ElementsAre(Pair("a/l", "2")));
}

TEST_F(CommitPipelineTest, WaitersAreToldInOrderAndOnlyWhenDurable) {
  Put(&a_, "k", "1");
  Wait(pipeline_.filling(), "first");
  Wait(pipeline_.filling(), "second");
  pipeline_.Submit();
  Wait(1, "third, of the batch in flight");
  Put(&a_, "k", "2");
  Wait(pipeline_.filling(), "of the next");
  EXPECT_THAT(Told(), IsEmpty());
  committer_.RunWork();
  EXPECT_THAT(Told(), IsEmpty()) << "told before the executor knew";
  committer_.RunOne();
  EXPECT_THAT(Told(), ElementsAre("first", "second", "third, of the batch in flight"));
  EXPECT_THAT(told_[0].second, IsOk());
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_EQ(Told().back(), "of the next");
  EXPECT_EQ(told_.size(), 4u);
}

TEST_F(CommitPipelineTest, NextCommitBeginsBeforeTheWaitersAreTold) {
  Put(&a_, "k", "1");
  size_t begun = 0;
  pipeline_.WhenDurable(1, [&](const absl::Status&) { begun = committer_.waiting(); });
  pipeline_.Submit();
  Put(&a_, "k", "2");
  committer_.RunOne();
  EXPECT_EQ(begun, 1u);
}

TEST_F(CommitPipelineTest, AStoreMayCommitWithoutAThreadOfOurs) {
  HeldStore store;
  CommitPipeline pipeline(&store, &committer_, nullptr);
  for (const char* value : {"1", "2"}) {
    WriteSet writes;
    writes.Put("k", value);
    pipeline.Join(&a_, &writes);
    pipeline.WhenDurable(pipeline.filling(), &waiters_.emplace_back(this, value));
    pipeline.Submit();
    EXPECT_TRUE(store.holds());
    EXPECT_EQ(committer_.waiting(), 0u);
  }
  store.End();
  EXPECT_THAT(Told(), IsEmpty()) << "told before the executor knew";
  EXPECT_FALSE(store.holds());
  committer_.RunOne();
  EXPECT_THAT(Told(), ElementsAre("1"));
  EXPECT_THAT(Find(store, FamilyId::kPacked, "a/k"), Optional(std::string("1")));
  EXPECT_TRUE(store.holds()) << "what gathered meanwhile goes at once";
  store.End();
  committer_.RunOne();
  EXPECT_THAT(Told(), ElementsAre("1", "2"));
  EXPECT_THAT(Find(store, FamilyId::kPacked, "a/k"), Optional(std::string("2")));
  EXPECT_EQ(pipeline.durable(), 2u);
  EXPECT_TRUE(pipeline.idle());
}

TEST_F(CommitPipelineTest, FunctionsAndWaitersAreToldInOneOrder) {
  Put(&a_, "k", "1");
  Wait(1, "waiter 1");
  WaitWithFunction(1, "function 2");
  Wait(1, "waiter 3");
  pipeline_.Submit();
  WaitWithFunction(1, "function 4");
  committer_.RunOne();
  EXPECT_THAT(Told(), ElementsAre("waiter 1", "function 2", "waiter 3", "function 4"));
}

TEST_F(CommitPipelineTest, FunctionIsDestroyedOnceTold) {
  auto owned = std::make_shared<int>();
  const std::weak_ptr<int> watch = owned;
  Put(&a_, "k", "1");
  pipeline_.WhenDurable(1, [owned = std::move(owned)](const absl::Status&) {});
  pipeline_.Submit();
  EXPECT_FALSE(watch.expired());
  committer_.RunOne();
  EXPECT_TRUE(watch.expired());
}

TEST_F(CommitPipelineTest, WaiterMayGoOn) {
  Put(&a_, "k", "1");
  pipeline_.WhenDurable(1, [this](const absl::Status&) {
    EXPECT_EQ(pipeline_.durable(), 1u);
    Put(&a_, "k", "2");
    Wait(pipeline_.filling(), "of the second");
    pipeline_.Submit();
  });
  Wait(1, "of the first");
  pipeline_.Submit();
  committer_.RunAll();
  EXPECT_THAT(Told(), ElementsAre("of the first", "of the second"));
  EXPECT_EQ(pipeline_.durable(), 2u);
}

TEST_F(CommitPipelineTest, ReadsGoThroughPendingWrites) {
  Put(&a_, "k", "1");
  EXPECT_THAT(Get(a_, "k"), Optional(std::string("1")));
  EXPECT_EQ(Get(b_, "k"), std::nullopt);
  pipeline_.Submit();
  EXPECT_THAT(Get(a_, "k"), Optional(std::string("1")));
  Put(&a_, "k", "2");
  EXPECT_THAT(Get(a_, "k"), Optional(std::string("2")));
  committer_.RunOne();
  EXPECT_THAT(Get(a_, "k"), Optional(std::string("2")));
  EXPECT_THAT(Find(store_, FamilyId::kPacked, "a/k"), Optional(std::string("1")));
}

TEST_F(CommitPipelineTest, FailureFailsAllWhoWaitNowAndLater) {
  store_.set_commit_error(absl::InternalError("fsync failed"));
  Put(&a_, "k", "1");
  Wait(1, "in flight");
  WaitWithFunction(1, "function in flight");
  pipeline_.Submit();
  Put(&a_, "k", "2");
  Wait(2, "filling");
  WaitWithFunction(2, "function filling");
  EXPECT_FALSE(pipeline_.failed());
  committer_.RunOne();
  EXPECT_TRUE(pipeline_.failed());
  Wait(2, "later");
  WaitWithFunction(pipeline_.filling(), "later function");
  EXPECT_THAT(Told(),
              ElementsAre("in flight", "function in flight", "filling", "function filling", "later", "later function"));
  for (const auto& [name, status] : told_) {
    EXPECT_THAT(status, IsStatus(absl::StatusCode::kInternal, "fsync failed")) << name;
    EXPECT_FALSE(IsNotOwner(status)) << name;
  }
  EXPECT_THAT(failures_, ElementsAre(IsStatus(absl::StatusCode::kInternal, "fsync failed")));
  EXPECT_EQ(pipeline_.durable(), 0u);
}

TEST_F(CommitPipelineTest, RefusalIsFinalAndToldAsOne) {
  store_.set_commit_error(NotOwner("another process has it"));
  Put(&a_, "k", "1");
  Wait(1, "in flight");
  pipeline_.Submit();
  Put(&a_, "k", "2");
  Wait(2, "filling");
  committer_.RunOne();
  EXPECT_EQ(committer_.waiting(), 0u);
  store_.set_commit_error(absl::OkStatus());
  Wait(2, "later");
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 0u);
  EXPECT_THAT(Told(), ElementsAre("in flight", "filling", "later"));
  for (const auto& [name, status] : told_) EXPECT_TRUE(IsNotOwner(status)) << name;
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_TRUE(IsNotOwner(failures_[0]));
  EXPECT_TRUE(pipeline_.failed());
  EXPECT_TRUE(IsNotOwner(pipeline_.failure()));
  EXPECT_EQ(pipeline_.durable(), 0u);
  EXPECT_THAT(Dump(store_, FamilyId::kPacked), IsEmpty());
}

TEST_F(CommitPipelineTest, FailureIsFinal) {
  store_.set_commit_error(absl::InternalError("fsync failed"));
  Put(&a_, "k", "1");
  pipeline_.Submit();
  committer_.RunOne();
  store_.set_commit_error(absl::OkStatus());
  Put(&a_, "k", "2");
  Wait(pipeline_.filling(), "later");
  pipeline_.Submit();
  EXPECT_EQ(committer_.waiting(), 0u);
  EXPECT_EQ(store_.commits().size(), 1u);
  EXPECT_EQ(failures_.size(), 1u);
  EXPECT_THAT(told_, ElementsAre(Pair("later", IsStatus(absl::StatusCode::kInternal, "fsync failed"))));
}

TEST_F(CommitPipelineTest, PendingBytesAreThoseNotDurable) {
  EXPECT_EQ(pipeline_.pending_bytes(), 0u);
  Put(&a_, "k", std::string(1000, 'x'));
  const size_t first = pipeline_.pending_bytes();
  EXPECT_GE(first, 1001u);
  pipeline_.Submit();
  EXPECT_EQ(pipeline_.pending_bytes(), first);
  Put(&a_, "k", std::string(3000, 'x'));
  EXPECT_EQ(pipeline_.pending_bytes(), first + first + 2000);
  Put(&a_, "k", "");  // in place of the long value
  EXPECT_EQ(pipeline_.pending_bytes(), first + first - 1000);
  Put(&b_, "k", "");
  EXPECT_EQ(pipeline_.pending_bytes(), first + 2 * (first - 1000));
  committer_.RunOne();
  EXPECT_EQ(pipeline_.pending_bytes(), 2 * (first - 1000));
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_EQ(pipeline_.pending_bytes(), 0u);
}

TEST_F(CommitPipelineTest, KeyspaceMayGoOnceItsBatchIsDurable) {
  auto keyspace = std::make_unique<Keyspace>(Location{FamilyId::kPacked, "c/"});
  Put(keyspace.get(), "k", "1");
  pipeline_.Submit();
  committer_.RunOne();
  keyspace.reset();
  Put(&a_, "k", "1");
  pipeline_.Submit();
  committer_.RunOne();
  EXPECT_EQ(pipeline_.durable(), 2u);
}

// Compares turns, commits and reads in any order with a plain map per keyspace; the store is a prefix of the turns
// throughout.
TEST_F(CommitPipelineTest, RandomTurnsAreReadAsTheyCame) {
  ForEachSeed(40, [](Random& random) {
    CountingStore store;
    simulation::ManualBackground committer;
    CommitPipeline pipeline(&store, &committer, [](const absl::Status& status) { ADD_FAILURE() << status; });
    std::vector<std::unique_ptr<Keyspace>> keyspaces;
    for (const char* prefix : {"a", "b", "c"}) {
      keyspaces.push_back(std::make_unique<Keyspace>(Location{FamilyId::kPacked, prefix}));
    }
    Entries model;                            // the state after all turns
    std::map<BatchNumber, Entries> at_batch;  // the state after the turns up to that batch
    std::vector<BatchNumber> told;
    for (int step = 0; step < 150; ++step) {
      switch (random.Below(4)) {
        case 0: {
          pipeline.Submit();
          break;
        }
        case 1: {
          committer.RunOne();
          break;
        }
        default: {
          const BatchNumber batch = pipeline.filling();
          for (auto& keyspace : keyspaces) {
            WriteSet writes = RandomWrites(random, 4);
            if (writes.empty()) continue;
            Apply(writes, keyspace->location().prefix, &model);
            pipeline.Join(keyspace.get(), &writes);
          }
          at_batch[batch] = model;
          if (!pipeline.idle() && batch > pipeline.durable()) {
            pipeline.WhenDurable(batch, [&, batch](const absl::Status& status) {
              EXPECT_THAT(status, IsOk());
              EXPECT_GE(pipeline.durable(), batch);
              told.push_back(batch);
            });
          }
        }
      }
      ASSERT_LT(pipeline.durable(), pipeline.filling());
      ASSERT_LE(committer.waiting(), 1u);
      if (auto it = at_batch.find(pipeline.durable()); it != at_batch.end()) {
        ASSERT_EQ(Dump(store, FamilyId::kPacked), it->second);
      }
      for (const auto& keyspace : keyspaces) {
        const std::string& key = RandomKey(random);
        View view(&store, &keyspace->location(), keyspace->Layers(nullptr), ReadTier::kMemory);
        const auto it = model.find(keyspace->location().prefix + key);
        ASSERT_THAT(view.Get(key), IsOkAnd(it == model.end() ? std::nullopt : std::optional(it->second)));
      }
    }
    do {
      pipeline.Submit();
    } while (committer.RunOne());
    ASSERT_TRUE(pipeline.idle());
    ASSERT_EQ(pipeline.pending_bytes(), 0u);
    ASSERT_EQ(Dump(store, FamilyId::kPacked), model);
    ASSERT_TRUE(std::is_sorted(told.begin(), told.end()));
  });
}

}  // namespace
}  // namespace holdfast::storage
