#include "storage/node/run_clocks.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
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

absl::Status RunClocks::Recover() {
  const auto cursor = store_->NewCursor(FamilyId::kNode, KeyRange::Prefix(kRunClockPrefix), ReadTier::kDisk);
  for (cursor->SeekToFirst(); cursor->state() == ReadResult::kFound; cursor->Next()) {
    absl::string_view key = cursor->key().substr(kRunClockPrefix.size());
    absl::string_view value = cursor->value();
    RunNumber run;
    int64_t clock_us;
    if (!ConsumeUint32(&key, &run) || !key.empty() || !ConsumeInt64(&value, &clock_us) || !value.empty()) {
      return absl::DataLossError("the record of a run's clock is garbled");
    }
    clocks_[run] = clock_us;
  }
  if (cursor->state() != ReadResult::kAbsent) return cursor->error();
  if (!clocks_.empty()) next_ = clocks_.rbegin()->first + 1;
  if (clocks_.size() <= kRunsMax) return absl::OkStatus();

  const Location location{FamilyId::kNode, ""};
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
  return store_->Commit({&commit, 1});
}

int64_t RunClocks::Of(RunNumber run) const {
  const auto found = clocks_.lower_bound(run);
  if (found == clocks_.end()) return 0;
  return found->first == run || found == clocks_.begin() ? found->second : 0;
}

}  // namespace holdfast::storage
