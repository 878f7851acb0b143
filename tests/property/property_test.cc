// Random sequences of operations on objects, against a plain model, over both stores.
//
//   HOLDFAST_PROPERTY_SEQUENCES   how many sequences on each store; 30 unless told
//   HOLDFAST_PROPERTY_STEPS       how many steps each has; 500 unless told
//   HOLDFAST_TEST_SEED            one sequence alone, the one that this seed makes

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "tests/property/sequence.h"
#include "tests/simulation/leaks.h"

namespace holdfast::property {
namespace {

// So many sequences share a store, which is then thrown away with what deletions have left in it.
constexpr int kSequencesPerStore = 20;
constexpr size_t kDifferencesMax = 3;

int FromEnvironment(const char* name, int otherwise) {
  int value = otherwise;
  if (const char* const text = std::getenv(name)) (void)absl::SimpleAtoi(text, &value);
  return value;
}

class PropertyTest : public ::testing::TestWithParam<storage::StoreKind> {};

TEST_P(PropertyTest, ObjectsAreWhatTheModelSays) {
  const std::vector<uint64_t> seeds = simulation::Seeds(FromEnvironment("HOLDFAST_PROPERTY_SEQUENCES", 30));
  const int steps = FromEnvironment("HOLDFAST_PROPERTY_STEPS", 500);
  Counts counts;
  std::vector<std::string> differences;
  std::unique_ptr<Subject> subject;
  for (uint64_t seed : seeds) {
    if (counts.sequences % kSequencesPerStore == 0) subject = std::make_unique<Subject>(GetParam(), &counts.moves);
    std::vector<std::string> found = Sequence(seed, subject.get(), &counts).Run(steps);
    if (found.empty()) continue;
    for (std::string& difference : found) {
      std::printf("%s\n", difference.c_str());
      differences.push_back(std::move(difference));
    }
    if (differences.size() >= kDifferencesMax) break;
    subject = std::make_unique<Subject>(GetParam(), &counts.moves);
  }
  const auto print = [](int64_t count, const char* what) {
    std::printf("%lld %s", static_cast<long long>(count), what);
  };
  print(counts.sequences, "sequences, ");
  print(counts.steps, "steps, ");
  print(counts.restarts, "restarts, ");
  print(counts.kills, "kills (");
  print(counts.unanswered, "calls unanswered), ");
  print(counts.moves.promoted + counts.moves.packed, "moves (");
  print(counts.moves.promoted, "into a family of their own, ");
  print(counts.moves.in_steps, "of these in steps, ");
  print(counts.moves.packed, "packed; ");
  print(counts.moves.interrupted, "more were killed), ");
  print(counts.replays, "replays, ");
  print(counts.deliveries, "alarms delivered; ");
  print(static_cast<int64_t>(differences.size()), "differences\n");
  EXPECT_TRUE(differences.empty()) << absl::StrJoin(differences, "\n");
  if (seeds.size() == 1) return;
  EXPECT_GT(counts.moves.promoted, 0);
  EXPECT_GT(counts.moves.in_steps, 0);
  EXPECT_GT(counts.moves.packed, 0);
  EXPECT_GT(counts.moves.interrupted, 0);
  EXPECT_GT(counts.replays, 0);
  EXPECT_GT(counts.deliveries, 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, PropertyTest,
                         ::testing::Values(storage::StoreKind::kMemory, storage::StoreKind::kRocksDb),
                         storage::StoreName);

}  // namespace
}  // namespace holdfast::property
