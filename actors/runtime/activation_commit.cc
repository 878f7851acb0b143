// What turns leave: commits of what they wrote, of deletions, of moves, of failed alarms.

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/runtime/activation_turns.h"
#include "actors/runtime/lane.h"
#include "storage/base/log.h"
#include "storage/node/catalog.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

using storage::WriteSet;
// After a move that failed, the next is tried no sooner.
constexpr absl::Duration kFamilyRefused = absl::Minutes(1);
// A packed object with more keys than this goes as a range: a removed range costs every later read in its family.
constexpr size_t kRemoveByKeyMax = 1000;

}  // namespace

uint64_t Activation::generation() const { return placement_ ? placement_->generation : 0; }

void Activation::SettleHeader() {
  WriteSet writes;
  WriteSet catalog;
  if (!record_.Settle(generation(), &writes, &catalog)) return;
  JoinWrites(&writes);
  lane_->pipeline.Join(&lane_->catalog, &catalog);
}

void Activation::JoinWrites(WriteSet* writes) {
  last_batch_ = lane_->pipeline.filling();
  if (relocation_ && !relocation_->copied_to.empty()) {
    WriteSet copy = *writes;
    copy.DropPatches();  // what they change may not be copied yet
    lane_->pipeline.Join(relocation_->keyspace.get(), &copy);
  }
  lane_->pipeline.Join(keyspace_.get(), writes);
}

void Activation::Join(WriteSet* catalog, WriteSet* alarms) {
  record_.Stage(generation(), &storage_, catalog);
  JoinWrites(&storage_.writes());
  lane_->pipeline.Join(&lane_->catalog, catalog);
  lane_->pipeline.Join(&lane_->alarm_index, alarms);
  lane_->pipeline.Join(lane_->records.keyspace(), &record_writes_);
  storage_.DropTurn();
}

void Activation::CommitTurn() {
  if (storage_.deleted_all()) {
    CommitDeletion();
  } else {
    CommitWrites();
  }
  for (auto& function : std::exchange(after_commit_, {})) {
    if (last_batch_ <= lane_->pipeline.durable()) {
      function();
      continue;
    }
    lane_->pipeline.WhenDurable(last_batch_, [function = std::move(function)](const absl::Status& status) mutable {
      if (status.ok()) function();
    });
  }
}

void Activation::CommitWrites() {
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  const bool alarm_changes = change && (change->time || record_.alarm());
  const bool object_changes = !storage_.writes().empty() || alarm_changes || record_.header_changed();
  if (!object_changes && record_writes_.empty()) {
    storage_.DropTurn();
    return;
  }
  if (object_changes && !record_.exists()) record_.Create();
  if (alarm_changes) {
    std::optional<ObjectRecord::NewAlarm> next;
    if (change->time) next = record_.MakeAlarm(*change->time, change->clock);
    record_.StoreAlarm(next, &storage_, &alarms);
  }
  Join(&catalog, &alarms);
  record_.CountCommit();
  if (object_changes) lane_->placement.Consider(this);
}

void Activation::CommitDeletion() {
  if (relocation_) {
    AbortMove();
    family_refused_until_ = absl::InfinitePast();
  }
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  std::optional<ObjectRecord::NewAlarm> kept;
  if (change && change->time) {
    kept = record_.MakeAlarm(*change->time, change->clock);
  } else if (!change) {
    kept = record_.KeepAlarm();
  }
  // The turn may have written again after it deleted: then the object is a new one.
  const bool exists = kept || (storage_.writes().has_values() && !storage_.left());
  if (!record_.exists() && !exists) {
    // What it removes is the remainder of an object that has left.
    if (record_writes_.empty() && storage_.writes().empty()) {
      storage_.DropTurn();
    } else {
      Join(&catalog, &alarms);
    }
    return;
  }
  // A family of its own goes as a whole; what is kept is packed.
  std::optional<storage::Placement> left = std::exchange(placement_, std::nullopt);
  std::unique_ptr<storage::Keyspace> old;
  if (left) {
    // Under the packed prefix there is nothing to remove, but for what a move took away that is not durable yet.
    WriteSet writes;
    if (move_batch_ > lane_->pipeline.durable()) writes.DeleteRange(storage::KeyRange::All());
    for (const auto& [key, value] : storage_.writes().points()) {
      if (value) writes.Put(key, *value);
    }
    storage_.writes() = std::move(writes);
    old = std::exchange(keyspace_, std::make_unique<storage::Keyspace>(storage::PackedLocation(key_)));
    storage_.set_keyspace(keyspace_.get());
    lane_->services.families->Abandon(key_);
  }
  const bool by_itself = storage_.left();
  record_.Forget();
  if (exists) {
    record_.Create();
  } else {
    catalog.Delete(key_.encoded());
  }
  record_.StoreAlarm(kept, &storage_, &alarms);
  Join(&catalog, &alarms);
  if (left) {
    lane_->pipeline.WhenDurable(last_batch_,
                                [lane = lane_, old = std::move(old), left, by_itself](const absl::Status& status) {
                                  if (status.ok())
                                    by_itself ? lane->placement.DropSoon(*left) : lane->placement.Drop(*left);
                                });
  }
}

// --- Moves.

bool Activation::WantsFamily() const {
  return !placement_ && !wants_family_ && !relocation_ && family_refused_until_ <= lane_->clock().Steady();
}

void Activation::FamilyRefused() {
  wants_family_ = false;
  family_refused_until_ = lane_->clock().Steady() + kFamilyRefused;
  Pump();
}

void Activation::BeginMove(std::optional<storage::Placement> to) {
  wants_family_ = false;
  relocation_.emplace();
  relocation_->to = to;
  relocation_->keyspace =
      std::make_unique<storage::Keyspace>(to ? storage::Location{to->family, ""} : storage::PackedLocation(key_));
  move_turn_ = new MoveTurn(this);
  mailbox_.PushReserved(move_turn_);
  Pump();
}

void Activation::NextMoveStep() {
  if (lane_->stopped) {
    MoveTurn* const turn = move_turn_;
    AbortMove();
    delete turn;
    return;
  }
  move_turn_->goes_on = false;
  mailbox_.PushReserved(move_turn_);
  Pump();
}

void Activation::CommitMoveStep() {
  MoveTurn* const turn = move_turn_;
  const bool one_step = relocation_->copied_to.empty();
  const bool by_key = one_step && turn->part.size() <= kRemoveByKeyMax;
  WriteSet copies;
  WriteSet removals;
  if (!by_key) removals.DeleteRange(storage::KeyRange::All());
  if (!turn->part.empty()) relocation_->copied_to = turn->part.back().first + '\0';
  for (auto& [key, value] : turn->part) {
    if (by_key) removals.Delete(key);
    copies.Put(key, std::move(value));
  }
  turn->part.clear();
  last_batch_ = lane_->pipeline.filling();
  lane_->pipeline.Join(relocation_->keyspace.get(), &copies);
  if (!turn->last) {
    turn->goes_on = true;
    return;
  }

  const std::optional<storage::Placement> left = std::exchange(placement_, relocation_->to);
  std::unique_ptr<storage::Keyspace> old = std::exchange(keyspace_, std::move(relocation_->keyspace));
  storage_.set_keyspace(keyspace_.get());
  relocation_.reset();
  move_turn_ = nullptr;
  move_batch_ = last_batch_;
  WriteSet catalog;
  catalog.Put(key_.encoded(), storage::CatalogValue(generation(), *record_.header()));
  if (!left) lane_->pipeline.Join(old.get(), &removals);
  lane_->pipeline.Join(&lane_->catalog, &catalog);
  if (placement_) {
    lane_->services.families->Adopt(key_, *placement_);
  } else {
    lane_->services.families->Abandon(key_);
  }
  // Until then batches name the old place.
  lane_->pipeline.WhenDurable(last_batch_, [lane = lane_, old = std::move(old), left](const absl::Status& status) {
    if (status.ok() && left) lane->placement.Drop(*left);
  });
  lane_->placement.Moved(this, PlacementPolicy::MoveEnd::kDone, left);
}

void Activation::AbortMove() {
  Relocation relocation = std::move(*relocation_);
  relocation_.reset();
  const auto end = move_turn_->too_large ? PlacementPolicy::MoveEnd::kTooLarge : PlacementPolicy::MoveEnd::kFailed;
  move_turn_->goes_on = false;
  move_turn_ = nullptr;
  lane_->placement.Moved(this, end, std::nullopt);
  if (!relocation.to) return;
  family_refused_until_ = lane_->clock().Steady() + kFamilyRefused;
  if (last_batch_ <= lane_->pipeline.durable()) {
    lane_->placement.Drop(*relocation.to);
    return;
  }
  // Until then batches name it.
  lane_->pipeline.WhenDurable(last_batch_, [lane = lane_, keyspace = std::move(relocation.keyspace),
                                            to = *relocation.to](const absl::Status& status) {
    if (status.ok()) lane->placement.Drop(to);
  });
}

void Activation::CommitAlarmFailure(const std::optional<storage::ObjectStorage::AlarmChange>& change) {
  if (change) {
    if (change->time) {
      storage_.SetAlarm(*change->time, change->clock);
    } else {
      storage_.DeleteAlarm();
    }
    CommitTurn();
    return;
  }
  WriteSet catalog;
  WriteSet alarms;
  const int attempt = record_.alarm()->retry_count() + 1;
  const std::optional<ObjectRecord::NewAlarm> retry = record_.RetryAlarm();
  if (storage::Observer* const observer = lane_->services.observer) {
    observer->AlarmFailed(class_->name, attempt, /*dropped=*/!retry);
  }
  record_.StoreAlarm(retry, &storage_, &alarms);
  Join(&catalog, &alarms);
}

}  // namespace holdfast::actors
