// Random sequences of operations on objects run against a plain model, over each store. In sequences of SQL the model
// of each object's database is plain SQLite in memory.
//
//   HOLDFAST_PROPERTY_SEQUENCES   the number of sequences on each store; default 30, or 20 of SQL
//   HOLDFAST_PROPERTY_STEPS       the number of steps of each; default 500, or 200 of SQL
//   HOLDFAST_TEST_SEED            runs only the sequence of this seed

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "tests/property/sequence.h"

namespace holdfast::property {
namespace {

// So many sequences share a store; then a new store is made, without the remains of deletions.
constexpr int kSequencesPerStore = 20;
constexpr size_t kDifferencesMax = 3;

int FromEnvironment(const char* name, int otherwise) {
  int value = otherwise;
  if (const char* const text = std::getenv(name)) (void)absl::SimpleAtoi(text, &value);
  return value;
}

class PropertyTest : public ::testing::TestWithParam<storage::StoreKind> {};

void Print(int64_t count, const char* what) { std::printf("%lld %s", static_cast<long long>(count), what); }

// Returns the differences found.
std::vector<std::string> RunSequences(Profile profile, storage::StoreKind kind, const std::vector<uint64_t>& seeds,
                                      int steps, Counts* counts) {
  std::vector<std::string> differences;
  std::unique_ptr<Subject> subject;
  for (uint64_t seed : seeds) {
    if (counts->sequences % kSequencesPerStore == 0) subject = std::make_unique<Subject>(kind, &counts->moves);
    std::vector<std::string> found = Sequence(seed, profile, subject.get(), counts).Run(steps);
    if (found.empty()) continue;
    for (std::string& difference : found) {
      std::printf("%s\n", difference.c_str());
      differences.push_back(std::move(difference));
    }
    if (differences.size() >= kDifferencesMax) break;
    subject = std::make_unique<Subject>(kind, &counts->moves);
  }
  Print(counts->sequences, "sequences, ");
  Print(counts->steps, "steps, ");
  Print(counts->restarts, "restarts, ");
  Print(counts->kills, "kills (");
  Print(counts->unanswered, "calls unanswered), ");
  Print(counts->moves.promoted + counts->moves.packed, "moves (");
  Print(counts->moves.promoted, "into a family of their own, ");
  Print(counts->moves.in_steps, "of these in steps, ");
  Print(counts->moves.packed, "packed; ");
  Print(counts->moves.interrupted, "more were killed), ");
  Print(counts->replays, "replays, ");
  Print(counts->deliveries, "alarms delivered, ");
  Print(counts->left, "times gone by itself; ");
  if (profile == Profile::kSql) {
    Print(counts->sql_statements, "SQL statements, ");
    Print(counts->sql_rows, "rows compared, ");
    Print(counts->sql_failed, "calls that failed here and there, ");
    Print(counts->sql_databases, "databases compared whole, of up to ");
    Print(counts->sql_pages_max, "pages; ");
  }
  Print(static_cast<int64_t>(differences.size()), "differences\n");
  return differences;
}

TEST_P(PropertyTest, ObjectsAreWhatTheModelSays) {
  const std::vector<uint64_t> seeds = simulation::Seeds(FromEnvironment("HOLDFAST_PROPERTY_SEQUENCES", 30));
  Counts counts;
  const auto differences =
      RunSequences(Profile::kKeys, GetParam(), seeds, FromEnvironment("HOLDFAST_PROPERTY_STEPS", 500), &counts);
  EXPECT_TRUE(differences.empty()) << absl::StrJoin(differences, "\n");
  if (seeds.size() == 1) return;
  EXPECT_GT(counts.moves.promoted, 0);
  EXPECT_GT(counts.moves.in_steps, 0);
  EXPECT_GT(counts.moves.packed, 0);
  EXPECT_GT(counts.moves.interrupted, 0);
  EXPECT_GT(counts.replays, 0);
  EXPECT_GT(counts.deliveries, 0);
}

TEST_P(PropertyTest, SqlDatabasesAreWhatPlainSqliteSays) {
  const std::vector<uint64_t> seeds = simulation::Seeds(FromEnvironment("HOLDFAST_PROPERTY_SEQUENCES", 20));
  Counts counts;
  const auto differences =
      RunSequences(Profile::kSql, GetParam(), seeds, FromEnvironment("HOLDFAST_PROPERTY_STEPS", 200), &counts);
  EXPECT_TRUE(differences.empty()) << absl::StrJoin(differences, "\n");
  if (seeds.size() == 1) return;
  EXPECT_GT(counts.moves.promoted, 0);
  EXPECT_GT(counts.moves.packed, 0);
  EXPECT_GT(counts.restarts, 0);
  EXPECT_GT(counts.unanswered, 0);
  EXPECT_GT(counts.sql_rows, 0);
  EXPECT_GT(counts.sql_failed, 0);
}

#ifdef HOLDFAST_TEST_POSTGRES
constexpr storage::StoreKind kKinds[] = {storage::StoreKind::kPostgres};
#else
constexpr storage::StoreKind kKinds[] = {storage::StoreKind::kMemory, storage::StoreKind::kRocksDb};
#endif
INSTANTIATE_TEST_SUITE_P(Stores, PropertyTest, ::testing::ValuesIn(kKinds), storage::StoreName);

}  // namespace
}  // namespace holdfast::property
