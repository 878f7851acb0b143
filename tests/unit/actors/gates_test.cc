#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <coroutine>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "actors/runtime/input_gate.h"
#include "actors/runtime/output_gate.h"
#include "actors/wire/errors.h"
#include "storage/store/memory_store.h"
#include "tests/simulation/node.h"

namespace holdfast::actors {
namespace {

class Recording : public Delivery {
 public:
  Task<absl::Status> Run(Object&) override { std::abort(); }
  void Done(const absl::Status& status) override { outcome = status; }

  std::optional<absl::Status> outcome;
};

// These handles are only compared and never resumed.
std::coroutine_handle<> Handle(int* identity) { return std::coroutine_handle<>::from_address(identity); }

TEST(InputGateTest, IsHeldByOneTurn) {
  InputGate gate;
  Recording turn;
  EXPECT_TRUE(gate.open());
  gate.Enter(&turn);
  EXPECT_FALSE(gate.open());
  EXPECT_EQ(gate.holder(), &turn);
  gate.Leave();
  EXPECT_TRUE(gate.open());
  EXPECT_EQ(gate.holder(), nullptr);
}

TEST(InputGateTest, TurnsThatAreReadyGoOnInTheOrderInWhichTheyBecameSo) {
  InputGate gate;
  Recording first, second;
  int a, b, c;
  gate.Queue({&second, Handle(&b)});
  gate.Queue({&first, Handle(&a)});
  gate.Queue({&first, Handle(&c)});
  auto next = gate.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->turn, &second);
  EXPECT_EQ(next->handler, Handle(&b));
  EXPECT_EQ(gate.Next()->handler, Handle(&a));
  EXPECT_EQ(gate.Next()->handler, Handle(&c));
  EXPECT_FALSE(gate.Next());
}

TEST(InputGateTest, AHandlerThatIsForgottenDoesNotGoOn) {
  InputGate gate;
  Recording turn;
  int a, b;
  gate.Queue({&turn, Handle(&a)});
  gate.Queue({&turn, Handle(&b)});
  gate.Forget(Handle(&a));
  EXPECT_EQ(gate.Next()->handler, Handle(&b));
  EXPECT_FALSE(gate.Next());
  gate.Forget(Handle(&a));
}

class OutputGateTest : public ::testing::Test {
 protected:
  void Write(const std::string& key) {
    storage::WriteSet writes;
    writes.Put(key, "v");
    pipeline.Join(&keyspace, &writes);
  }

  simulation::VirtualClock clock;
  simulation::ManualExecutor executor{&clock};
  simulation::ManualBackground commits{EndOn(&executor)};
  storage::MemoryStore store;
  storage::CommitPipeline pipeline{&store, &commits, [](const absl::Status&) {}};
  storage::Keyspace keyspace{storage::Location{}};
  OutputGate gate{&pipeline, &store};
};

TEST_F(OutputGateTest, WhatDependsOnNoWriteLeavesAtOnce) {
  Recording reply;
  gate.Pass(&reply, absl::OkStatus(), 0);
  ASSERT_TRUE(reply.outcome);
  EXPECT_TRUE(reply.outcome->ok());
}

TEST_F(OutputGateTest, HoldsRepliesAndErrorsUntilTheirBatchIsDurable) {
  Recording reply, error, later;
  Write("a");
  gate.Pass(&reply, absl::OkStatus(), pipeline.filling());
  gate.Pass(&error, NotFound("nothing"), pipeline.filling());
  EXPECT_FALSE(reply.outcome);
  pipeline.Submit();
  Write("b");
  gate.Pass(&later, absl::OkStatus(), pipeline.filling());
  EXPECT_FALSE(reply.outcome);
  commits.RunWork();
  EXPECT_FALSE(reply.outcome) << "on disk, but the executor does not know";
  commits.RunDone();
  ASSERT_TRUE(reply.outcome && error.outcome);
  EXPECT_TRUE(reply.outcome->ok());
  EXPECT_EQ(error.outcome->code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(later.outcome);
  pipeline.Submit();
  commits.RunOne();
  EXPECT_TRUE(later.outcome);
}

TEST_F(OutputGateTest, AFailedCommitReplacesWhateverWaited) {
  Recording reply, error, later, much_later;
  store.set_commit_error(absl::DataLossError("the disk is gone"));
  Write("a");
  gate.Pass(&reply, absl::OkStatus(), pipeline.filling());
  gate.Pass(&error, NotFound("nothing"), pipeline.filling());
  pipeline.Submit();
  Write("b");
  gate.Pass(&later, absl::OkStatus(), pipeline.filling());
  commits.RunOne();
  Write("c");
  gate.Pass(&much_later, absl::OkStatus(), pipeline.filling());
  for (const Recording* waiting : {&reply, &error, &later, &much_later}) {
    ASSERT_TRUE(waiting->outcome);
    EXPECT_EQ(ReasonOf(*waiting->outcome), v1::ERROR_REASON_OUTCOME_UNKNOWN);
  }
}

TEST_F(OutputGateTest, ARefusedCommitIsTriedAgainElsewhere) {
  Recording reply, later;
  store.set_commit_error(storage::NotOwner("another process has it"));
  Write("a");
  gate.Pass(&reply, absl::OkStatus(), pipeline.filling());
  pipeline.Submit();
  Write("b");
  gate.Pass(&later, NotFound("nothing"), pipeline.filling());
  commits.RunOne();
  for (const Recording* waiting : {&reply, &later}) {
    ASSERT_TRUE(waiting->outcome);
    EXPECT_EQ(ReasonOf(*waiting->outcome), v1::ERROR_REASON_OBJECT_RESET);
  }
}

}  // namespace
}  // namespace holdfast::actors
