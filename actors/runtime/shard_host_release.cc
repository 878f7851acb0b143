// A shard is given away while the host runs.
//
//   Release        refuses what waits, and has each activation leave memory when its turns have ended
//   EvictNow       after turns_max: ends the turns that still go on
//   Remove         takes an activation away once all that it wrote is durable; the last one ends the release
//   CheckReleased  waits for all else that this host has written, takes the shard's request records out of the count,
//                  and says that the shard is free
//
// Alarms of the shard stay in the index, for its next owner.

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/runtime/shard_host.h"
#include "actors/wire/errors.h"
#include "storage/base/check.h"

namespace holdfast::actors {

void ShardHost::Release(storage::ShardId number, absl::Duration turns_max, absl::AnyInvocable<void()> done) {
  HOLDFAST_CHECK(Owns(number) && done != nullptr, absl::StrCat("shard ", static_cast<int>(number)));
  Shard& shard = *shards_[static_cast<size_t>(number)];
  shard.left = std::move(done);
  lane_.alarms.OwnershipChanged();
  std::vector<storage::ObjectKey> keys;
  keys.reserve(shard.activations.size());
  for (const auto& activation : shard.activations) keys.push_back(activation->key());
  // The end of one activation may remove another one.
  for (const storage::ObjectKey& key : keys) {
    if (Activation* const activation = ActivationOf(key)) activation->Evict();
  }
  shard.turns_end = lane_.services.executor->After(turns_max, [this, number, keys = std::move(keys)] {
    shards_[static_cast<size_t>(number)]->turns_end.reset();
    for (const storage::ObjectKey& key : keys) {
      if (Activation* const activation = ActivationOf(key)) activation->EvictNow();
    }
  });
  // Not here: the caller may be a turn of the last activation.
  lane_.services.executor->Post([this, number] { CheckReleased(number); });
}

void ShardHost::CheckReleased(storage::ShardId number) {
  const auto& shard = shards_[static_cast<size_t>(number)];
  if (shard == nullptr || shard->left == nullptr || !shard->activations.empty()) return;
  if (std::exchange(shard->ending, true)) return;
  const auto free = [this, number] {
    lane_.records.Lost(number, [this, number] {
      const std::unique_ptr<Shard> shard = std::move(shards_[static_cast<size_t>(number)]);
      if (shard->turns_end) lane_.services.executor->Cancel(*shard->turns_end);
      lane_.services.watchers->Left(number);
      shard->left();
    });
  };
  const storage::BatchNumber last = lane_.pipeline.last_joined();
  if (last <= lane_.pipeline.durable()) {
    free();
  } else {
    lane_.pipeline.WhenDurable(last, [free](const absl::Status& status) {
      if (status.ok()) free();
    });
  }
}

}  // namespace holdfast::actors
