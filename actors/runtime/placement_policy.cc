#include "actors/runtime/placement_policy.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "actors/runtime/activation.h"
#include "storage/base/log.h"

namespace holdfast::actors {
namespace {

// An object gets the family of another if it has this many bytes, or this many commits since it was loaded.
constexpr int64_t kLargeBytes = 1 << 20;
constexpr int kBusyCommits = 1000;
// A search for an object to pack looks at kPackLookMax objects, and at most one search begins per kPackStep.
constexpr size_t kPackLookMax = 64;
constexpr absl::Duration kPackStep = absl::Milliseconds(20);
// The time between two drops of families whose objects have ceased to exist by themselves.
constexpr absl::Duration kDropStep = absl::Milliseconds(100);
// The time before failed packing is tried again. An object that was too large waits longer, since it seldom becomes
// small, and each try costs a read of its first part.
constexpr absl::Duration kPackAgain = absl::Minutes(1);
constexpr absl::Duration kPackLargeAgain = absl::Minutes(10);

}  // namespace

void PlacementPolicy::Consider(Activation* activation) {
  storage::Families* const families = services_.families;
  if (!activation->WantsFamily() || stopped_ || services_.store->DiskFull()) return;
  if (families->has_room() && families->Reserve()) {
    Give(activation);
    return;
  }
  if (activation->size_bytes() >= kLargeBytes || activation->commits() >= kBusyCommits) PackOneFor(activation);
}

void PlacementPolicy::Give(Activation* activation) {
  activation->AwaitFamily();
  auto made = std::make_shared<absl::StatusOr<storage::Placement>>(absl::UnknownError("not made"));
  ++changes_under_way_;
  services_.family_changes->Run(
      [families = services_.families, key = activation->key(), made] { *made = families->Create(key); },
      [this, activation, made] {
        --changes_under_way_;
        if (made->ok()) {
          activation->BeginMove(**made);
          return;
        }
        Log(LogLevel::kWarning, "family_not_created",
            {{"object", activation->key().DebugString()}, {"status", made->status().ToString()}});
        activation->FamilyRefused();
      });
}

void PlacementPolicy::PackOneFor(const Activation* activation) {
  const absl::Time now = services_.executor->clock().Steady();
  if (packing_ || now < packed_time_ + kPackStep) return;
  packed_time_ = now;
  while (!not_packed_.empty() && not_packed_.begin()->first <= now) {
    placed_.push_back(std::move(not_packed_.begin()->second));
    not_packed_.erase(not_packed_.begin());
  }
  for (size_t left = std::min(placed_.size(), kPackLookMax); left > 0; --left) {
    storage::ObjectKey key = std::move(placed_.front());
    placed_.pop_front();
    // The object was deleted or moved meanwhile.
    if (!services_.families->Find(key)) continue;
    if (services_.find(key) != nullptr) {  // in use
      placed_.push_back(std::move(key));
      continue;
    }
    Activation* const small = services_.bring(key);
    if (small == nullptr) continue;
    packing_ = Packing{key, activation->key(), std::nullopt};
    small->BeginMove(std::nullopt);
    return;
  }
}

void PlacementPolicy::Moved(const storage::ObjectKey& key, bool packed, MoveEnd end,
                            const std::optional<storage::Placement>& left) {
  if (services_.observer != nullptr) services_.observer->Moved(packed, end == MoveEnd::kDone);
  if (packing_ && packing_->object == key) {
    if (end == MoveEnd::kDone && left) {
      packing_->left = left;
      return;
    }
    packing_.reset();
    // The object keeps its family for now. If it was deleted meanwhile, PackOneFor() sees that it has no family.
    const absl::Duration again = end == MoveEnd::kTooLarge ? kPackLargeAgain : kPackAgain;
    not_packed_.emplace(services_.executor->clock().Steady() + again, key);
    return;
  }
  if (end != MoveEnd::kDone || packed) return;
  placed_.push_back(key);
  // Objects that were deleted meanwhile are still in the queue, and those that were made anew are in it twice.
  if (placed_.size() <= 2 * static_cast<size_t>(services_.families->count()) + kPackLookMax) return;
  absl::flat_hash_set<std::string> seen;
  std::erase_if(placed_, [&](const storage::ObjectKey& other) {
    return !services_.families->Find(other) || !seen.insert(other.encoded()).second;
  });
}

void PlacementPolicy::Stop() {
  stopped_ = true;
  if (drop_timer_) services_.executor->Cancel(*drop_timer_);
  drop_timer_.reset();
}

void PlacementPolicy::DropSoon(const storage::Placement& placement) {
  drop_soon_.push_back(placement);
  if (!drop_timer_) DropNext();
}

void PlacementPolicy::DropNext() {
  if (stopped_ || drop_soon_.empty()) return;
  Drop(drop_soon_.front());
  drop_soon_.pop_front();
  drop_timer_ = services_.executor->After(kDropStep, [this] {
    drop_timer_.reset();
    DropNext();
  });
}

void PlacementPolicy::Drop(const storage::Placement& placement) {
  // The room of the family is kept for the object for which it was emptied.
  std::optional<storage::ObjectKey> room_for;
  if (packing_ && packing_->left && packing_->left->generation == placement.generation) {
    room_for = packing_->room_for;
    packing_.reset();
  }
  auto status = std::make_shared<absl::Status>();
  ++changes_under_way_;
  services_.family_changes->Run([families = services_.families, placement, status,
                                 keep = room_for.has_value()] { *status = families->Drop(placement, keep); },
                                [this, status, room_for] {
                                  --changes_under_way_;
                                  if (!status->ok())
                                    Log(LogLevel::kWarning, "family_not_dropped", {{"status", status->ToString()}});
                                  if (!room_for) return;
                                  Activation* const activation = services_.find(*room_for);
                                  if (activation == nullptr || !activation->WantsFamily() || stopped_) {
                                    services_.families->CancelReservation();
                                  } else {
                                    Give(activation);
                                  }
                                });
}

}  // namespace holdfast::actors
