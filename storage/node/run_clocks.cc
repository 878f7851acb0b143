#include "storage/node/run_clocks.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

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

absl::Status RunClocks::RecoverOneByOne(RunNumber first, RunNumber end) {
  for (RunNumber run = first; run < end; ++run) {
    std::string value;
    absl::Status error;
    int64_t clock_us;
    const ReadResult found =
        store_->Get(WholeFamily(FamilyId::kNode), RunClockKey(run), ReadTier::kDisk, &value, &error);
    if (found == ReadResult::kError && error.code() != absl::StatusCode::kDataLoss) return error;
    absl::string_view rest = value;
    if (found == ReadResult::kFound && ConsumeInt64(&rest, &clock_us) && rest.empty()) clocks_[run] = clock_us;
  }
  return absl::OkStatus();
}

absl::Status RunClocks::Recover() {
  // A part that cannot be read: the run numbers between which it lies.
  struct Hidden {
    RunNumber first;
    std::optional<RunNumber> end;
  };
  std::vector<Hidden> hidden;
  RunNumber after_last = 0;
  absl::Status status = ScanReadable(
      store_, WholeFamily(FamilyId::kNode), KeyRange::Prefix(kRunClockPrefix),
      [&](absl::string_view key, absl::string_view value) {
        key.remove_prefix(kRunClockPrefix.size());
        RunNumber run;
        int64_t clock_us;
        if (!ConsumeUint32(&key, &run) || !key.empty() || !ConsumeInt64(&value, &clock_us) || !value.empty()) {
          Log(LogLevel::kError, "run_clocks_damaged", {{"status", "a record is garbled"}});
          damaged_ = true;
          return true;
        }
        if (!hidden.empty() && !hidden.back().end) hidden.back().end = run;
        clocks_[run] = clock_us;
        after_last = run + 1;
        return true;
      },
      [&](const KeyRange&, const absl::Status& why) {
        Log(LogLevel::kError, "run_clocks_damaged", {{"status", why.ToString()}});
        damaged_ = true;
        if (hidden.empty() || hidden.back().end) hidden.push_back({after_last, std::nullopt});
      });
  if (!status.ok()) return status;
  for (const auto& [first, end] : hidden) {
    const RunNumber last = end.value_or(first + kHiddenMax);
    // The records of the newest runs in the part lie right before the record behind it.
    status = RecoverOneByOne(std::max(first, last < kHiddenMax ? 0 : last - kHiddenMax), last);
    if (!status.ok()) return status;
  }
  if (!clocks_.empty()) next_ = clocks_.rbegin()->first + 1;
  // There may be higher numbers than those that were read.
  if (!hidden.empty() && !hidden.back().end) next_ += kHiddenMax;
  if (clocks_.size() <= kRunsMax) return absl::OkStatus();

  const Location location = WholeFamily(FamilyId::kNode);
  WriteSet writes;
  while (clocks_.size() > kRunsMax) {
    const auto oldest = clocks_.begin();
    int64_t& kept = std::next(oldest)->second;
    kept = std::max(kept, oldest->second);
    writes.Delete(RunClockKey(oldest->first));
    clocks_.erase(oldest);
  }
  writes.Put(RunClockKey(clocks_.begin()->first), RunClockValue(clocks_.begin()->second));
  const KeyspaceWrites commit{&location, &writes};
  return store_->CommitSync({&commit, 1});
}

int64_t RunClocks::Of(RunNumber run) const {
  const auto found = clocks_.lower_bound(run);
  if (damaged_ && (found == clocks_.end() || found->first != run)) {
    int64_t latest_us = 0;
    for (const auto& [other, clock_us] : clocks_) latest_us = std::max(latest_us, clock_us);
    return latest_us;
  }
  if (found == clocks_.end()) return 0;
  return found->first == run || found == clocks_.begin() ? found->second : 0;
}

}  // namespace holdfast::storage
