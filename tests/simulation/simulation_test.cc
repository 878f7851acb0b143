// The whole system in one thread, from many seeds; and that the checker sees what is broken.
//
//   HOLDFAST_SIMULATION_SEEDS   the number of seeds; default 300
//   HOLDFAST_TEST_SEED          runs this seed alone

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/simulation/world.h"

namespace holdfast::simulation {
namespace {

constexpr int kCaughtWithin = 200;
constexpr size_t kFindingsMax = 3;

// A broken invariant ends the process; its seed must not be lost with it.
char seed_line[64];

void PrintSeed(int signal) {
  (void)!write(STDERR_FILENO, seed_line, std::strlen(seed_line));
  ::signal(signal, SIG_DFL);
  raise(signal);
}

std::vector<std::string> Simulate(uint64_t seed, Broken broken, Events* events, uint64_t* trace = nullptr) {
  std::snprintf(seed_line, sizeof(seed_line), "%s\n", Replay(seed).c_str());
  signal(SIGABRT, PrintSeed);
  World world(seed, broken);
  std::vector<std::string> findings = world.Run();
  events->Add(world.events());
  if (trace != nullptr) *trace = world.trace();
  return findings;
}

int SeedCount() {
  int count = 300;
  if (const char* const text = std::getenv("HOLDFAST_SIMULATION_SEEDS")) (void)absl::SimpleAtoi(text, &count);
  return count;
}

TEST(SimulationTest, SomeOrderExplainsEveryReply) {
  const std::vector<uint64_t> seeds = Seeds(SeedCount());
  Events events;
  std::vector<std::string> findings;
  size_t ran = 0;
  for (uint64_t seed : seeds) {
    ++ran;
    for (std::string& finding : Simulate(seed, Broken::kNothing, &events)) {
      std::printf("%s\n", finding.c_str());
      findings.push_back(std::move(finding));
    }
    if (findings.size() >= kFindingsMax) break;
  }
  std::printf("%zu seeds, %zu findings: %s\n", ran, findings.size(), events.DebugString().c_str());
  EXPECT_TRUE(findings.empty()) << absl::StrJoin(findings, "\n");
  if (seeds.size() < 100) return;
  // Everything that a run may draw does happen.
  EXPECT_GT(events.repeated, 0);
  EXPECT_GT(events.unknown, 0);
  EXPECT_GT(events.refused, 0);
  EXPECT_GT(events.killed_in_write, 0);
  EXPECT_GT(events.killed_in_start, 0);
  EXPECT_GT(events.restarts, 0);
  EXPECT_GT(events.failed_syncs, 0);
  EXPECT_GT(events.folds, 0);
  EXPECT_GT(events.clock_steps, 0);
  EXPECT_GT(events.passivations, 0);
}

TEST(SimulationTest, ASeedIsARun) {
  for (uint64_t seed : {7, 8, 9}) {
    Events events;
    uint64_t first = 0;
    uint64_t second = 0;
    (void)Simulate(seed, Broken::kNothing, &events, &first);
    (void)Simulate(seed, Broken::kNothing, &events, &second);
    EXPECT_EQ(first, second) << Replay(seed);
  }
}

struct Variant {
  Broken broken;
  const char* name;
};

class BrokenTest : public ::testing::TestWithParam<Variant> {};

TEST_P(BrokenTest, IsCaught) {
  // All seeds are run, and the catches counted, where there is time for it.
  const bool count = std::getenv("HOLDFAST_SIMULATION_SEEDS") != nullptr;
  uint64_t ran = 0;
  int caught = 0;
  for (uint64_t seed : Seeds(kCaughtWithin)) {
    Events events;
    const std::vector<std::string> findings = Simulate(seed, GetParam().broken, &events);
    ++ran;
    if (findings.empty()) continue;
    if (caught++ == 0) std::printf("%s is caught: %s\n", GetParam().name, findings.front().c_str());
    if (!count) break;
  }
  std::printf("%s: %llu seeds, %d of them catch it\n", GetParam().name, static_cast<unsigned long long>(ran), caught);
  EXPECT_GT(caught, 0);
}

INSTANTIATE_TEST_SUITE_P(Variants, BrokenTest,
                         ::testing::Values(Variant{Broken::kAcknowledgesBeforeSync, "AcknowledgesBeforeSync"},
                                           Variant{Broken::kReadPassesNoGate, "ReadPassesNoGate"},
                                           Variant{Broken::kRecordLost, "RecordLost"},
                                           Variant{Broken::kTurnsInterleave, "TurnsInterleave"}),
                         [](const auto& variant) { return std::string(variant.param.name); });

}  // namespace
}  // namespace holdfast::simulation
