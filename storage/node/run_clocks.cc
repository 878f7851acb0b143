#include "storage/node/run_clocks.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/base/log.h"
#include "storage/store/damage.h"
#include "storage/store/format.h"
#include "storage/store/key_codec.h"
#include "storage/store/write_set.h"

namespace holdfast::storage {

std::string RunClockKey(RunNumber run) {
  std::string key(kRunClockPrefix);
  AppendUint32(&key, run);
  return key;
}

std::string RunClockValue(int64_t clock_us) {
  std::string value;
  AppendInt64(&value, clock_us);
  return value;
}

absl::Status RunClocks::ReadOneByOne(RunNumber first, RunNumber end, Readings* readings) const {
  for (RunNumber run = first; run < end; ++run) {
    std::string value;
    absl::Status error;
    int64_t clock_us;
    const ReadResult found =
        store_->Get(WholeFamily(FamilyId::kNode), RunClockKey(run), ReadTier::kDisk, &value, &error);
    if (found == ReadResult::kError && error.code() != absl::StatusCode::kDataLoss) return error;
    absl::string_view rest = value;
    if (found == ReadResult::kFound && ConsumeInt64(&rest, &clock_us) && rest.empty()) readings->clocks[run] = clock_us;
  }
  return absl::OkStatus();
}

absl::StatusOr<RunClocks::Readings> RunClocks::Read() const {
  // A part that cannot be read: the run numbers between which it lies.
  struct Hidden {
    RunNumber first;
    std::optional<RunNumber> end;
  };
  std::vector<Hidden> hidden;
  Readings readings;
  RunNumber after_last = 0;
  absl::Status status = ScanReadable(
      store_, WholeFamily(FamilyId::kNode), KeyRange::Prefix(kRunClockPrefix),
      [&](absl::string_view key, absl::string_view value) {
        key.remove_prefix(kRunClockPrefix.size());
        RunNumber run;
        int64_t clock_us;
        if (!ConsumeUint32(&key, &run) || !key.empty() || !ConsumeInt64(&value, &clock_us) || !value.empty()) {
          Log(LogLevel::kError, "run_clocks_damaged", {{"status", "a record is garbled"}});
          readings.damaged = true;
          return true;
        }
        if (!hidden.empty() && !hidden.back().end) hidden.back().end = run;
        readings.clocks[run] = clock_us;
        after_last = run + 1;
        return true;
      },
      [&](const KeyRange&, const absl::Status& why) {
        Log(LogLevel::kError, "run_clocks_damaged", {{"status", why.ToString()}});
        readings.damaged = true;
        if (hidden.empty() || hidden.back().end) hidden.push_back({after_last, std::nullopt});
      });
  if (!status.ok()) return status;
  for (const auto& [first, end] : hidden) {
    const RunNumber last = end.value_or(first + kHiddenMax);
    // The records of the newest runs in the part lie right before the record behind it.
    status = ReadOneByOne(std::max(first, last < kHiddenMax ? 0 : last - kHiddenMax), last, &readings);
    if (!status.ok()) return status;
  }
  readings.hidden_after_last = !hidden.empty() && !hidden.back().end;
  return readings;
}

absl::Status RunClocks::Recover() {
  absl::StatusOr<Readings> readings = Read();
  if (!readings.ok()) return readings.status();
  if (!cluster_) {
    if (!readings->clocks.empty()) next_ = readings->clocks.rbegin()->first + 1;
    if (readings->hidden_after_last) next_ += kHiddenMax;
  }
  if (readings->clocks.size() > kRunsMax) {
    absl::Status status = cluster_ ? TrimEnded(&*readings) : TrimAlone(&*readings);
    if (!status.ok()) return status;
  }
  Take(*std::move(readings));
  return absl::OkStatus();
}

absl::Status RunClocks::Refresh() {
  absl::StatusOr<Readings> readings = Read();
  if (!readings.ok()) return readings.status();
  Take(*std::move(readings));
  return absl::OkStatus();
}

absl::Status RunClocks::TrimAlone(Readings* readings) {
  auto& clocks = readings->clocks;
  WriteSet writes;
  while (clocks.size() > kRunsMax) {
    const auto oldest = clocks.begin();
    int64_t& kept = std::next(oldest)->second;
    kept = std::max(kept, oldest->second);
    writes.Delete(RunClockKey(oldest->first));
    clocks.erase(oldest);
  }
  writes.Put(RunClockKey(clocks.begin()->first), RunClockValue(clocks.begin()->second));
  return Commit(&writes);
}

absl::Status RunClocks::TrimEnded(Readings* readings) {
  const auto unfinished = cluster_->unfinished();
  if (!unfinished.ok()) return unfinished.status();
  // A run that had a record before the question was known to be unfinished then, or has ended by now. One without a
  // record may have begun after the question.
  const Readings before = std::move(*readings);
  absl::StatusOr<Readings> now = Read();
  if (!now.ok()) return now.status();
  *readings = *std::move(now);
  auto& clocks = readings->clocks;
  std::vector<RunNumber> ended;
  std::optional<std::pair<int64_t, RunNumber>> latest;
  for (const auto& [run, clock_us] : clocks) {
    if (unfinished->contains(run) || !before.clocks.contains(run)) continue;
    ended.push_back(run);
    latest = std::max(latest, std::optional(std::pair(clock_us, run)));
  }
  WriteSet writes;
  for (const RunNumber run : ended) {
    if (clocks.size() <= kRunsMax) break;
    if (run == latest->second) continue;
    writes.Delete(RunClockKey(run));
    clocks.erase(run);
  }
  return writes.empty() ? absl::OkStatus() : Commit(&writes);
}

absl::Status RunClocks::Commit(WriteSet* writes) {
  const Location location = WholeFamily(FamilyId::kNode);
  const KeyspaceWrites commit{&location, writes};
  return store_->CommitSync({&commit, 1});
}

void RunClocks::Take(Readings readings) {
  auto taken = std::make_shared<const Readings>(std::move(readings));
  MutexLock lock(&mutex_);
  readings_ = std::move(taken);
}

RunNumber RunClocks::Begin() {
  const RunNumber run = next_.fetch_add(1, std::memory_order_relaxed);
  HOLDFAST_CHECK(!cluster_ || run - cluster_->first < cluster_->count, absl::StrCat("run ", run));
  return run;
}

int64_t RunClocks::Of(RunNumber run) const {
  std::shared_ptr<const Readings> readings;
  {
    MutexLock lock(&mutex_);
    readings = readings_;
  }
  const auto& clocks = readings->clocks;
  const auto found = clocks.lower_bound(run);
  if (found != clocks.end() && found->first == run) return found->second;
  if (cluster_ || readings->damaged) {
    int64_t latest_us = 0;
    for (const auto& [other, clock_us] : clocks) latest_us = std::max(latest_us, clock_us);
    return latest_us;
  }
  return found != clocks.end() && found == clocks.begin() ? found->second : 0;
}

}  // namespace holdfast::storage
