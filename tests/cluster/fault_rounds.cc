#include "tests/cluster/fault_rounds.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace holdfast::testing {
namespace {

constexpr absl::Duration kLoadedMin = absl::Milliseconds(300);
constexpr absl::Duration kLoadedMax = absl::Milliseconds(900);
constexpr absl::Duration kSharedMax = absl::Seconds(60);
constexpr absl::Duration kSharedStep = absl::Seconds(1);

}  // namespace

FaultRounds::FaultRounds(std::string kind, const ClusterOptions& options, uint64_t seed)
    : random_(seed), cluster_(options), load_(cluster_, random_()) {
  row_.kind = std::move(kind);
  if (!cluster_.WaitUntilShared(kSharedMax)) {
    findings_.push_back({Finding::Kind::kOther, "the nodes do not share the shards"});
  }
}

void FaultRounds::Sleep(absl::Duration least, absl::Duration most) {
  const double part = std::uniform_real_distribution<double>(0, 1)(random_);
  absl::SleepFor(least + part * (most - least));  // the load works meanwhile
}

void FaultRounds::StartAll() {
  for (int node = 0; node < cluster_.size(); ++node) {
    if (cluster_.runs(node)) (void)cluster_.Wait(node, absl::ZeroDuration());
    if (!cluster_.runs(node)) cluster_.Start(node);
  }
}

void FaultRounds::Run(const std::function<void()>& strike) {
  load_.Begin();
  Sleep(kLoadedMin, kLoadedMax);
  const int64_t struck_us = NowUs();
  strike();
  Settle();
  load_.End();
  Check();
  ++row_.rounds;
  row_.longest_outage = std::max(row_.longest_outage, absl::Microseconds(load_.history().LongestUs(struck_us)));
}

void FaultRounds::Settle() {
  const absl::Time until = absl::Now() + kSharedMax;
  // A node that was fenced may find out, and end, late.
  do {
    StartAll();
  } while (!cluster_.WaitUntilShared(kSharedStep) && absl::Now() < until);
  if (!cluster_.WaitUntilShared(absl::ZeroDuration())) {
    findings_.push_back({Finding::Kind::kOther, "the nodes do not share the shards after the fault"});
  }
  Sleep(kLoadedMin, kLoadedMax);
  StartAll();
}

void FaultRounds::Check() {
  for (Finding& finding : load_.Verify()) findings_.push_back(std::move(finding));
  row_.acknowledged = load_.acknowledged();
  row_.lost = row_.doubled = row_.other = 0;
  for (const Finding& finding : findings_) {
    ++(finding.kind == Finding::Kind::kLost      ? row_.lost
       : finding.kind == Finding::Kind::kDoubled ? row_.doubled
                                                 : row_.other);
  }
}

std::string TableOf(const std::vector<FaultRow>& rows) {
  std::string table =
      "| kind | rounds | acknowledged | lost | doubled | otherwise wrong | longest outage |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const FaultRow& row : rows) {
    absl::StrAppendFormat(&table, "| %s | %d | %d | %d | %d | %d | %.2f s |\n", row.kind, row.rounds, row.acknowledged,
                          row.lost, row.doubled, row.other, absl::ToDoubleSeconds(row.longest_outage));
  }
  return table;
}

}  // namespace holdfast::testing
