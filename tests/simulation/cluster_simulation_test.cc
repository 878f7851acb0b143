// A cluster of three nodes in one thread, from many seeds; and that the checker sees what is broken.
//
//   HOLDFAST_SIMULATION_SEEDS   the number of seeds; default 150
//   HOLDFAST_TEST_SEED          runs this seed alone

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "storage/base/log.h"
#include "tests/simulation/cluster_world.h"

namespace holdfast::simulation {
namespace {

constexpr int kCaughtWithin = 1000;
constexpr size_t kFindingsMax = 3;

// A broken invariant ends the process; its seed must not be lost with it.
char seed_line[64];

void PrintSeed(int signal) {
  (void)!write(STDERR_FILENO, seed_line, std::strlen(seed_line));
  ::signal(signal, SIG_DFL);
  raise(signal);
}

std::vector<std::string> Simulate(uint64_t seed, ClusterBroken broken, ClusterEvents* events,
                                  uint64_t* trace = nullptr) {
  std::snprintf(seed_line, sizeof(seed_line), "%s\n", Replay(seed).c_str());
  signal(SIGABRT, PrintSeed);
  // Most of what is logged here as an error is what the simulation does.
  if (std::getenv("HOLDFAST_SIMULATION_TRACE") == nullptr) SetLogLevel(LogLevel::kError);
  ClusterWorld world(seed, broken);
  std::vector<std::string> findings = world.Run();
  events->Add(world.events());
  if (trace != nullptr) *trace = world.trace();
  return findings;
}

int SeedCount() {
  int count = 150;
  if (const char* const text = std::getenv("HOLDFAST_SIMULATION_SEEDS")) (void)absl::SimpleAtoi(text, &count);
  return count;
}

TEST(ClusterSimulationTest, SomeOrderExplainsEveryReply) {
  const std::vector<uint64_t> seeds = Seeds(SeedCount());
  const auto began = std::chrono::steady_clock::now();
  ClusterEvents events;
  std::vector<std::string> findings;
  size_t ran = 0;
  for (uint64_t seed : seeds) {
    ++ran;
    for (std::string& finding : Simulate(seed, ClusterBroken::kNothing, &events)) {
      std::printf("%s\n", finding.c_str());
      findings.push_back(std::move(finding));
    }
    if (findings.size() >= kFindingsMax) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%zu seeds in %.1f s, %zu findings: %s\n", ran, took.count(), findings.size(),
              events.DebugString().c_str());
  EXPECT_TRUE(findings.empty()) << absl::StrJoin(findings, "\n");
  if (seeds.size() < 100) return;
  // Everything that a run may draw does happen.
  EXPECT_GT(events.repeated, 0);
  EXPECT_GT(events.unknown, 0);
  EXPECT_GT(events.refused, 0);
  EXPECT_GT(events.forwarded, 0);
  EXPECT_GT(events.rerouted, 0);
  EXPECT_GT(events.kills, 0);
  EXPECT_GT(events.failures, 0);
  EXPECT_GT(events.pauses, 0);
  EXPECT_GT(events.drains, 0);
  EXPECT_GT(events.cuts, 0);
  EXPECT_GT(events.hangs, 0);
  EXPECT_GT(events.restarts, 0);
  EXPECT_GT(events.fail_overs, 0);
  EXPECT_GT(events.recoveries, 0);
  EXPECT_GT(events.given, 0);
  EXPECT_GT(events.faults, 0);
}

TEST(ClusterSimulationTest, ASeedIsARun) {
  for (uint64_t seed : {7, 8, 9}) {
    ClusterEvents events;
    uint64_t first = 0;
    uint64_t second = 0;
    (void)Simulate(seed, ClusterBroken::kNothing, &events, &first);
    (void)Simulate(seed, ClusterBroken::kNothing, &events, &second);
    EXPECT_EQ(first, second) << Replay(seed);
  }
}

struct Variant {
  ClusterBroken broken;
  const char* name;
  // With the default number of seeds the search begins here, shortly before the one that catches the variant, so that
  // a run is short; with a number in the environment at 1.
  uint64_t begin = 1;
};

std::vector<uint64_t> SeedsOf(const Variant& variant) {
  if (std::getenv("HOLDFAST_SIMULATION_SEEDS") != nullptr) return Seeds(SeedCount());
  std::vector<uint64_t> seeds = Seeds(static_cast<int>(variant.begin) + kCaughtWithin);
  if (seeds.size() > 1) std::erase_if(seeds, [&](uint64_t seed) { return seed < variant.begin; });
  return seeds;
}

class BrokenClusterTest : public ::testing::TestWithParam<Variant> {};

// Runs a seed in a process of its own, since a variant may break an invariant that the server checks itself. Prints
// the finding, and returns whether there is one.
bool FindsSomething(uint64_t seed, ClusterBroken broken) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    ClusterEvents events;
    const std::vector<std::string> findings = Simulate(seed, broken, &events);
    if (!findings.empty()) std::printf("%s\n", findings.front().c_str());
    std::fflush(nullptr);
    _exit(findings.empty() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
    std::printf("%s: the server has found a broken invariant\n", Replay(seed).c_str());
    return true;
  }
  EXPECT_TRUE(WIFEXITED(status)) << Replay(seed) << ": status " << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST_P(BrokenClusterTest, IsCaught) {
  const std::vector<uint64_t> seeds = SeedsOf(GetParam());
  for (uint64_t seed : seeds) {
    // A finding counts for the variant if the whole server has none there.
    if (!FindsSomething(seed, GetParam().broken) || FindsSomething(seed, ClusterBroken::kNothing)) continue;
    std::printf("%s is caught at the seed %llu\n", GetParam().name, static_cast<unsigned long long>(seed));
    return;
  }
  FAIL() << GetParam().name << " is not caught within " << seeds.size() << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Variants, BrokenClusterTest,
                         ::testing::Values(Variant{ClusterBroken::kCommitUnfenced, "CommitUnfenced"},
                                           Variant{ClusterBroken::kEpochUnchecked, "EpochUnchecked"},
                                           Variant{ClusterBroken::kTakeOverEarly, "TakeOverEarly", 345},
                                           Variant{ClusterBroken::kMoveUnchecked, "MoveUnchecked"},
                                           Variant{ClusterBroken::kGiveUnfenced, "GiveUnfenced"},
                                           Variant{ClusterBroken::kResolveByRead, "ResolveByRead"},
                                           Variant{ClusterBroken::kLoadFromReplaced, "LoadFromReplaced", 115},
                                           Variant{ClusterBroken::kLogNotWrittenBack, "LogNotWrittenBack"},
                                           Variant{ClusterBroken::kLeaseFromAnswer, "LeaseFromAnswer", 400},
                                           Variant{ClusterBroken::kReadsWithoutLease, "ReadsWithoutLease", 400},
                                           Variant{ClusterBroken::kGiveBeforeCommit, "GiveBeforeCommit"},
                                           Variant{ClusterBroken::kGiveBeforeFold, "GiveBeforeFold"},
                                           Variant{ClusterBroken::kNotForgotten, "NotForgotten"}),
                         [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace holdfast::simulation
