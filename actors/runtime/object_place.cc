#include "actors/runtime/object_place.h"

#include <utility>

#include "actors/runtime/lane.h"
#include "storage/node/catalog.h"

namespace holdfast::actors {
namespace {

using storage::WriteSet;

// Bytes that one part of a move has, and the most that a packed object may have.
constexpr size_t kPartBytes = 1 << 20;
// A packed object with more keys than this goes as a range: a removed range costs every later read in its family.
constexpr size_t kRemoveByKeyMax = 1000;
// After a move that failed, the next is tried no sooner.
constexpr absl::Duration kFamilyRefused = absl::Minutes(1);

}  // namespace

ObjectPlace::ObjectPlace(const storage::ObjectKey* key, storage::ObjectStorage* storage, Lane* lane)
    : key_(key),
      storage_(storage),
      lane_(lane),
      placement_(lane->services.families->Find(*key)),
      keyspace_(std::make_unique<storage::Keyspace>(placement_ ? storage::Location{placement_->family, ""}
                                                               : storage::PackedLocation(*key))) {
  storage_->set_keyspace(keyspace_.get());
}

void ObjectPlace::Join(WriteSet* writes) {
  last_batch_ = lane_->pipeline.filling();
  // Once the batch is durable, only the store has the writes, and the preread is older.
  storage_->DropPreread();
  if (move_ && !move_->copied_to.empty()) {
    WriteSet copy = *writes;
    copy.DropPatches();  // the values that they change may not be copied yet
    lane_->pipeline.Join(move_->keyspace.get(), &copy);
  }
  lane_->pipeline.Join(keyspace_.get(), writes);
}

bool ObjectPlace::WantsFamily() const {
  return packed() && !family_pending_ && !moving() && family_refused_until_ <= lane_->clock().Steady();
}

void ObjectPlace::FamilyRefused() {
  family_pending_ = false;
  family_refused_until_ = lane_->clock().Steady() + kFamilyRefused;
}

void ObjectPlace::BeginMove(std::optional<storage::Placement> to) {
  family_pending_ = false;
  ++moves_;
  move_ = std::make_unique<Move>();
  move_->to = to;
  move_->keyspace =
      std::make_unique<storage::Keyspace>(to ? storage::Location{to->family, ""} : storage::PackedLocation(*key_));
}

Task<absl::Status> ObjectPlace::ReadPart(Part* part) {
  if (!moving()) co_return absl::NotFoundError("the move has ended");
  if (lane_->services.store->DiskFull()) co_return absl::ResourceExhaustedError("the disk is full");
  // A packed place is used again only when what a move took away from there is off the disk.
  if (!move_->to && move_batch_ > lane_->pipeline.durable()) co_return absl::UnavailableError("just moved");
  const uint64_t move = moves_;
  const storage::KeyRange range{move_->copied_to, ""};
  auto read = co_await storage::StorageOp<Part>(storage_, range, [range](storage::View& view) -> absl::StatusOr<Part> {
    Part found{.last = true};
    size_t bytes = 0;
    absl::Status status = view.Scan(range, false, [&](absl::string_view key, absl::string_view value) {
      found.last = bytes < kPartBytes;
      if (found.last) found.entries.emplace_back(std::string(key), std::string(value));
      bytes += key.size() + value.size();
      return found.last;
    });
    if (!status.ok()) return status;
    return found;
  });
  if (!read.ok()) co_return read.status();
  if (!moving() || moves_ != move) co_return absl::NotFoundError("the move has ended");
  *part = *std::move(read);
  if (!move_->to && !part->last) {
    part->too_large = true;
    co_return absl::ResourceExhaustedError("too large to be packed");
  }
  co_return absl::OkStatus();
}

void ObjectPlace::CommitPart(Part part, const storage::v1::ObjectHeader& header) {
  const bool one_step = move_->copied_to.empty();
  const bool by_key = one_step && part.entries.size() <= kRemoveByKeyMax;
  WriteSet copies;
  WriteSet removals;
  if (!by_key) removals.DeleteRange(storage::KeyRange::All());
  if (!part.entries.empty()) move_->copied_to = part.entries.back().first + '\0';
  for (auto& [key, value] : part.entries) {
    if (by_key) removals.Delete(key);
    copies.Put(key, std::move(value));
  }
  last_batch_ = lane_->pipeline.filling();
  lane_->pipeline.Join(move_->keyspace.get(), &copies);
  if (!part.last) return;

  Left left{std::exchange(placement_, move_->to), std::exchange(keyspace_, std::move(move_->keyspace))};
  storage_->set_keyspace(keyspace_.get());
  move_.reset();
  move_batch_ = last_batch_;
  WriteSet catalog;
  catalog.Put(key_->encoded(), storage::CatalogValue(generation(), header));
  if (!left.family) lane_->pipeline.Join(left.keyspace.get(), &removals);
  lane_->pipeline.Join(&lane_->catalog, &catalog);
  if (placement_) {
    lane_->services.families->Adopt(*key_, *placement_);
  } else {
    lane_->services.families->Abandon(*key_);
  }
  const std::optional<storage::Placement> family = left.family;
  // Batches that are on their way name the old place.
  lane_->pipeline.WhenDurable(last_batch_, [lane = lane_, left = std::move(left)](const absl::Status& status) {
    if (status.ok() && left.family) lane->placement.Drop(*left.family);
  });
  lane_->placement.Moved(*key_, packed(), PlacementPolicy::MoveEnd::kDone, family);
}

void ObjectPlace::AbortMove(bool too_large) {
  const std::unique_ptr<Move> move = std::exchange(move_, nullptr);
  const auto end = too_large ? PlacementPolicy::MoveEnd::kTooLarge : PlacementPolicy::MoveEnd::kFailed;
  lane_->placement.Moved(*key_, packed(), end, std::nullopt);
  if (!move->to) return;
  family_refused_until_ = lane_->clock().Steady() + kFamilyRefused;
  DropWhenDurable({move->to, std::move(move->keyspace)}, /*soon=*/false);
}

ObjectPlace::Left ObjectPlace::LeaveFamily() {
  Left left{std::exchange(placement_, std::nullopt), nullptr};
  if (!left.family) return left;
  // Under the packed prefix there is nothing to remove, but for what a move took away that is not durable yet.
  WriteSet writes;
  if (move_batch_ > lane_->pipeline.durable()) writes.DeleteRange(storage::KeyRange::All());
  for (const auto& [key, value] : storage_->writes().points()) {
    if (value) writes.Put(key, *value);
  }
  storage_->writes() = std::move(writes);
  left.keyspace = std::exchange(keyspace_, std::make_unique<storage::Keyspace>(storage::PackedLocation(*key_)));
  storage_->set_keyspace(keyspace_.get());
  lane_->services.families->Abandon(*key_);
  return left;
}

void ObjectPlace::DropWhenDurable(Left left, bool soon) {
  if (!left.family) return;
  if (last_batch_ <= lane_->pipeline.durable()) {
    soon ? lane_->placement.DropSoon(*left.family) : lane_->placement.Drop(*left.family);
    return;
  }
  // Batches that are on their way name the family.
  lane_->pipeline.WhenDurable(last_batch_, [lane = lane_, left = std::move(left), soon](const absl::Status& status) {
    if (status.ok()) soon ? lane->placement.DropSoon(*left.family) : lane->placement.Drop(*left.family);
  });
}

}  // namespace holdfast::actors
