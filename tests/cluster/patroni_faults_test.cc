// Fail-overs of a replicated database under load: three nodes on three PostgreSQL under Patroni, and what can become of
// a primary, in as many rounds as HOLDFAST_CLUSTER_ROUNDS says. Nothing acknowledged is lost or done twice. The end
// prints a table.
//
// Rounds take half a minute each, so ctest does not run this: `tests/run.sh --full patroni` does.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cluster/fault_rounds.h"
#include "tests/cluster/patroni.h"
#include "tests/cluster/promotion_watch.h"
#include "tests/crash/rounds.h"

namespace holdfast::testing {
namespace {

constexpr int kRounds = 2;
// Longer than a machine with nine servers on it keeps a process from its work.
constexpr absl::Duration kLease = absl::Seconds(4);
// The time of Patroni's key in etcd, and some for those who are busy.
constexpr absl::Duration kPromotionMax = absl::Seconds(60);
// A server that was the primary goes back to where the new one began, and follows it.
constexpr absl::Duration kRejoinMax = absl::Seconds(30);
// A standby that is made anew copies the whole database.
constexpr absl::Duration kCopyMax = absl::Seconds(120);
// Many calls miss a commit that is lost.
constexpr size_t kFindingsShownMax = 20;
// How long a node may take to find out that commits are gone: it looks within a third of its lease, and may wait for
// the answer of a server that is gone before.
constexpr absl::Duration kFoundOutMax = absl::Seconds(30);

int RoundsOfKind() {
  int rounds = kRounds;
  if (const char* const text = std::getenv("HOLDFAST_CLUSTER_ROUNDS")) (void)absl::SimpleAtoi(text, &rounds);
  return rounds;
}

// The figures of the fail-overs of a kind, in seconds.
struct FailOvers {
  FaultRow row;
  std::vector<double> to_promotion;  // from the fault
  std::vector<double> to_write;      // from the promotion to the first write that the database acknowledged
  std::vector<double> to_change;     // from the promotion to the first change that a node acknowledged
  int ended = 0;                     // nodes that have ended by themselves
  int made_anew = 0;                 // standbys
};

// The median, and the most.
std::string Times(std::vector<double> times) {
  if (times.empty()) return "-";
  std::sort(times.begin(), times.end());
  return absl::StrFormat("%.2f (%.2f) s", times[times.size() / 2], times.back());
}

std::string TableOf(const std::vector<FailOvers>& kinds) {
  std::string table =
      "| what happens to the primary | rounds | acknowledged | lost | doubled | otherwise wrong | fault to promotion |"
      " promotion to the first write of the database | to the first acknowledged change |"
      " longest outage | nodes ended | standbys made anew |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const FailOvers& kind : kinds) {
    absl::StrAppendFormat(&table, "| %s | %d | %d | %d | %d | %d | %s | %s | %s | %.2f s | %d | %d |\n", kind.row.kind,
                          kind.row.rounds, kind.row.acknowledged, kind.row.lost, kind.row.doubled, kind.row.other,
                          Times(kind.to_promotion), Times(kind.to_write), Times(kind.to_change),
                          absl::ToDoubleSeconds(kind.row.longest_outage), kind.ended, kind.made_anew);
  }
  return table;
}

class PatroniFaultsTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { std::printf("\n%s", TableOf(Kinds()).c_str()); }

  static std::vector<FailOvers>& Kinds() {
    static auto* const kinds = new std::vector<FailOvers>();
    return *kinds;
  }

  // Makes a replicated database and a cluster on it. In each round `strike` does something to the primary, for which
  // Patroni promotes another server, and after a while `heal` undoes it.
  using Act = std::function<void(FaultRounds*, Patroni*, int primary)>;
  void RunRounds(const std::string& kind, const Act& strike, const Act& heal) {
    const uint64_t seed = Seed();
    SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
    Patroni patroni;
    FaultRounds rounds(kind, OptionsOf(&patroni), seed);
    FailOvers figures;
    for (int round = 0; round < RoundsOfKind() && !HasFailure(); ++round) {
      std::optional<Promotion> promotion;
      int64_t struck_us = 0;
      rounds.Run([&] {
        const std::optional<int> primary = patroni.WaitUntilWell(kRejoinMax);
        if (!primary) return;
        PromotionWatch watch(StandbysOf(patroni, *primary));
        struck_us = NowUs();
        strike(&rounds, &patroni, *primary);
        promotion = watch.Wait(kPromotionMax);
        rounds.Sleep(absl::ZeroDuration(), absl::Seconds(3));
        heal(&rounds, &patroni, *primary);
        WaitUntilWell(&patroni, &figures);
        for (int node = 0; node < rounds.cluster().size(); ++node) CheckNode(&rounds.cluster(), node, &figures);
      });
      for (size_t i = 0; i < rounds.findings().size() && i < kFindingsShownMax; ++i) {
        ADD_FAILURE() << rounds.findings()[i].what;
      }
      if (promotion) {
        Note(rounds.load().history(), struck_us, *promotion, &figures);
      } else {
        ADD_FAILURE() << "no standby was promoted: " << patroni.told();
      }
    }
    if (HasFailure()) Show(rounds.cluster(), patroni);
    figures.row = rounds.row();
    Kinds().push_back(figures);
    std::printf("%s", TableOf({figures}).c_str());
  }

  static ClusterOptions OptionsOf(Patroni* patroni) { return {.lease = kLease, .other_database = patroni}; }

  static std::vector<std::string> StandbysOf(const Patroni& patroni, int primary) {
    std::vector<std::string> standbys;
    for (int server = 0; server < Patroni::kServers; ++server) {
      if (server != primary) standbys.push_back(patroni.ConninfoOf(server));
    }
    return standbys;
  }

  // A server that does not follow the new primary by itself is made anew, as an operator would: Patroni 3.0.2 at times
  // starts one that was cut off with commits that nobody else has, and does not take them back.
  static void WaitUntilWell(Patroni* patroni, FailOvers* figures) {
    if (patroni->WaitUntilWell(kRejoinMax)) return;
    std::printf("standbys did not rejoin: %s\n", patroni->told().c_str());
    figures->made_anew += patroni->MakeStandbysAnew();
    EXPECT_TRUE(patroni->WaitUntilWell(kCopyMax)) << patroni->told();
  }

  // A fail-over is no reason for a node to end. On a machine that is so busy that it could not write for a whole lease,
  // others may have taken it over.
  static void CheckNode(Cluster* cluster, int node, FailOvers* figures) {
    if (!cluster->Wait(node, absl::ZeroDuration())) return;
    ++figures->ended;
    EXPECT_TRUE(absl::StrContains(cluster->Log(node), "taken over")) << "n" << node << " has ended\n"
                                                                     << cluster->Log(node);
  }

  static void Note(const History& history, int64_t struck_us, const Promotion& promotion, FailOvers* figures) {
    const auto seconds = [](int64_t from_us, int64_t to_us) { return static_cast<double>(to_us - from_us) / 1e6; };
    figures->to_promotion.push_back(seconds(struck_us, promotion.promoted_us));
    figures->to_write.push_back(seconds(promotion.promoted_us, promotion.written_us));
    const std::optional<int64_t> changed_us = history.FirstChangeUs(promotion.promoted_us);
    ASSERT_TRUE(changed_us) << "no change was acknowledged after the fail-over";
    figures->to_change.push_back(seconds(promotion.promoted_us, *changed_us));
  }

  static void Show(const Cluster& cluster, const Patroni& patroni) {
    for (int node = 0; node < cluster.size(); ++node) std::printf("--- n%d\n%s\n", node, cluster.Log(node).c_str());
    for (int server = 0; server < Patroni::kServers; ++server) {
      std::printf("--- p%d\n%s\n", server, patroni.Log(server).c_str());
    }
  }
};

// The ways of a machine of the database, from the nodes too.
void Cut(FaultRounds* rounds, Patroni* patroni, int server, Proxy::Cut cut) {
  patroni->CutOff(server, cut);
  for (int node = 0; node < rounds->cluster().size(); ++node) rounds->cluster().to_database(node, server).Set(cut);
}

void KillMachine(FaultRounds* /*rounds*/, Patroni* patroni, int server) { patroni->KillMachine(server); }
void StartMachine(FaultRounds* /*rounds*/, Patroni* patroni, int server) { patroni->StartMachine(server); }
void Nothing(FaultRounds* /*rounds*/, Patroni* /*patroni*/, int /*server*/) {}

TEST_F(PatroniFaultsTest, PostmasterKilled) {
  RunRounds(
      "PostgreSQL killed", [](FaultRounds*, Patroni* patroni, int server) { patroni->KillPostmaster(server); },
      Nothing);
}

TEST_F(PatroniFaultsTest, MachineLost) { RunRounds("machine lost, and back later", KillMachine, StartMachine); }

TEST_F(PatroniFaultsTest, MachineHangs) {
  RunRounds(
      "machine hung, and goes on later", [](FaultRounds*, Patroni* patroni, int server) { patroni->Freeze(server); },
      [](FaultRounds*, Patroni* patroni, int server) { patroni->Thaw(server); });
}

TEST_F(PatroniFaultsTest, MachineCutOff) {
  RunRounds(
      "machine cut off from all others",
      [](FaultRounds* rounds, Patroni* patroni, int server) { Cut(rounds, patroni, server, Proxy::Cut::kBoth); },
      [](FaultRounds* rounds, Patroni* patroni, int server) { Cut(rounds, patroni, server, Proxy::Cut::kNone); });
}

TEST_F(PatroniFaultsTest, SwitchedOver) {
  RunRounds(
      "switched over in order",
      [](FaultRounds*, Patroni* patroni, int server) { EXPECT_TRUE(patroni->SwitchOver(server)) << patroni->told(); },
      Nothing);
}

// Without a synchronous standby a lost machine takes commits with it that nobody else has. Nodes that miss commits end,
// none goes on with what it knows, and the check finds calls that are gone. If it found nothing, the tests above would
// prove nothing.
TEST_F(PatroniFaultsTest, WithAsynchronousReplicationCommitsAreLostAndTheNodesEnd) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("HOLDFAST_TEST_SEED=", seed));
  Patroni patroni({.synchronous = false});
  FaultRounds rounds("asynchronous: machine lost", OptionsOf(&patroni), seed);
  ASSERT_TRUE(rounds.findings().empty()) << rounds.findings().front().what;
  const std::optional<int> primary = patroni.WaitUntilWell(kRejoinMax);
  ASSERT_TRUE(primary) << patroni.told();
  const auto load = [&rounds] {
    rounds.load().Begin();
    rounds.Sleep(absl::Seconds(1), absl::Seconds(2));
    rounds.load().End();
  };
  load();
  rounds.Check();
  ASSERT_TRUE(rounds.findings().empty()) << rounds.findings().front().what;

  PromotionWatch watch(StandbysOf(patroni, *primary));
  patroni.CutReplication(*primary, Proxy::Cut::kBoth);
  load();
  patroni.KillMachine(*primary);
  patroni.CutReplication(*primary, Proxy::Cut::kNone);
  EXPECT_TRUE(watch.Wait(kPromotionMax)) << patroni.told();
  for (int node = 0; node < rounds.cluster().size(); ++node) {
    const std::optional<int> status = rounds.cluster().Wait(node, kFoundOutMax);
    EXPECT_TRUE(status.has_value() && *status != 0) << "n" << node << " goes on though its commits are gone";
    EXPECT_TRUE(absl::StrContains(rounds.cluster().Log(node), "has lost commits")) << rounds.cluster().Log(node);
  }
  patroni.StartMachine(*primary);
  FailOvers figures;
  WaitUntilWell(&patroni, &figures);
  rounds.Settle();
  rounds.Check();
  EXPECT_GT(rounds.row().lost, 0);
  if (HasFailure()) Show(rounds.cluster(), patroni);
  std::printf("asynchronous replication: every node ended, and the check found %lld lost, %lld other\n",
              static_cast<long long>(rounds.row().lost), static_cast<long long>(rounds.row().other));
}

}  // namespace
}  // namespace holdfast::testing
