// The commits at the end of turns: their writes, deletions, steps of moves, failed alarms.

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

}  // namespace

void Activation::SettleHeader() {
  WriteSet writes;
  WriteSet catalog;
  if (!record_.Settle(place_.generation(), &writes, &catalog)) return;
  place_.Join(&writes);
  lane_->pipeline.Join(&lane_->catalog, &catalog);
}

void Activation::Join(WriteSet* catalog, WriteSet* alarms) {
  record_.Stage(place_.generation(), &storage_, catalog);
  place_.Join(&storage_.writes());
  lane_->pipeline.Join(&lane_->catalog, catalog);
  lane_->pipeline.Join(&lane_->alarm_index, alarms);
  if (beside_ != nullptr) lane_->pipeline.Join(lane_->records.keyspace(), &beside_->record);
  storage_.DropTurn();
}

void Activation::CommitTurn() {
  if (storage_.deleted_all()) {
    CommitDeletion();
  } else {
    CommitWrites();
  }
  const std::unique_ptr<Beside> beside = std::move(beside_);
  if (beside == nullptr) return;
  for (auto& function : beside->after_commit) {
    if (place_.last_batch() <= lane_->pipeline.durable()) {
      function();
      continue;
    }
    lane_->pipeline.WhenDurable(place_.last_batch(),
                                [function = std::move(function)](const absl::Status& status) mutable {
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
  if (!object_changes && !HasRecord()) {
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
  if (place_.moving()) {
    AbortMove();
    place_.AllowFamily();
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
    // The turn's only writes can be the removal of the remainder of an object that has left.
    if (!HasRecord() && storage_.writes().empty()) {
      storage_.DropTurn();
    } else {
      Join(&catalog, &alarms);
    }
    return;
  }
  ObjectPlace::Left left = place_.LeaveFamily();
  const bool by_itself = storage_.left();
  record_.Forget();
  if (exists) {
    record_.Create();
  } else {
    catalog.Delete(key_.encoded());
  }
  record_.StoreAlarm(kept, &storage_, &alarms);
  Join(&catalog, &alarms);
  place_.DropWhenDurable(std::move(left), /*soon=*/by_itself);
}

// --- Moves.

void Activation::FamilyRefused() {
  place_.FamilyRefused();
  Pump();
}

void Activation::BeginMove(std::optional<storage::Placement> to) {
  place_.BeginMove(to);
  move_turn_ = Make<MoveTurn>();
  queue_.PushReserved(move_turn_);
  Pump();
}

void Activation::NextMoveStep() {
  if (lane_->stopped) {
    MoveTurn* const turn = move_turn_;
    AbortMove();
    Drop(turn);
    return;
  }
  move_turn_->goes_on = false;
  queue_.PushReserved(move_turn_);
  Pump();
}

void Activation::CommitMoveStep() {
  MoveTurn* const turn = move_turn_;
  turn->goes_on = !turn->part.last;
  if (turn->part.last) move_turn_ = nullptr;
  place_.CommitPart(std::exchange(turn->part, {}), *record_.header());
}

void Activation::AbortMove() {
  MoveTurn* const turn = std::exchange(move_turn_, nullptr);
  turn->goes_on = false;
  place_.AbortMove(turn->part.too_large);
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
