// What turns leave: commits of what they wrote, of deletions, of moves, of failed alarms.

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/alarms/retry_delay.h"
#include "actors/runtime/activation_turns.h"
#include "actors/runtime/shard_host.h"
#include "storage/base/log.h"
#include "storage/node/catalog.h"
#include "storage/store/format.h"

namespace holdfast::actors {
namespace {

using storage::WriteSet;
using storage::v1::AlarmRecord;

// The catalog's record is as old as this at most when the object is written, and its size as far off.
constexpr absl::Duration kCatalogAge = absl::Minutes(1);
constexpr int64_t kCatalogBytesOff = 4 << 10;
constexpr int64_t kCatalogPartOff = 8;
// The header may lag of an object with no more bytes than this, since it takes some milliseconds to count them; from so
// many commits on since it was loaded, since one that lags is written again at the end.
constexpr int64_t kLagBytesMax = 1 << 20;
constexpr int kLagCommitsMin = 8;
// After a move that failed, the next is tried no sooner.
constexpr absl::Duration kFamilyRefused = absl::Minutes(1);
// Readings of the wall clock and of an object's clock that differ by less are taken for the same.
constexpr absl::Duration kClocksAgree = absl::Seconds(1);
// A packed object with more keys than this goes as a range: a removed range costs every later read in its family.
constexpr size_t kRemoveByKeyMax = 1000;

}  // namespace

void Activation::CreateHeader() {
  header_.emplace();
  header_->set_schema_version(class_->schema_version());
  header_->set_create_time_us(absl::ToUnixMicros(host_->clock().Wall()));
  header_changed_ = true;
  catalog_changed_ = true;
}

Activation::NewAlarm Activation::MakeAlarm(absl::Time time, storage::AlarmClock clock) {
  NewAlarm alarm;
  alarm.record.set_scheduled_time_us(absl::ToUnixMicros(time));
  alarm.record.set_due_time_us(alarm.record.scheduled_time_us());
  if (clock == storage::AlarmClock::kWall) return alarm;
  const bool used = clock_used_;
  const absl::Duration delay = time - Now();
  clock_used_ = used;  // this tells nobody the time
  alarm.steady_due = host_->clock().Steady() + delay;
  const absl::Time wall = host_->clock().Wall() + delay;
  if (absl::AbsDuration(wall - time) >= kClocksAgree) alarm.record.set_due_time_us(absl::ToUnixMicros(wall));
  return alarm;
}

void Activation::StoreAlarm(const std::optional<NewAlarm>& next, WriteSet* alarms) {
  if (alarm_) {
    const storage::AlarmEntry old{alarm_->due_time_us(), key_.encoded()};
    alarms->Delete(storage::AlarmIndexKey(old.due_us, old.object));
    host_->alarms_.Removed(old);
  }
  if (next) {
    const storage::AlarmEntry entry{next->record.due_time_us(), key_.encoded()};
    alarms->Put(storage::AlarmIndexKey(entry.due_us, entry.object), "");
    host_->alarms_.Added(entry, next->steady_due);
    storage_.writes().Put(storage::kAlarmKey, next->record.SerializeAsString());
  } else if (alarm_) {
    storage_.writes().Delete(storage::kAlarmKey);
  }
  alarm_ = next ? std::optional(next->record) : std::nullopt;
  ++alarm_generation_;
  storage_.set_stored_alarm(next ? std::optional(absl::FromUnixMicros(next->record.scheduled_time_us()))
                                 : std::nullopt);
}

void Activation::UpdateHeader(WriteSet* catalog) {
  bool counted = false;
  if (const storage::UsageChange& usage = storage_.usage(); !usage.empty()) {
    usage.ApplyTo(header_->mutable_usage());
    counted = true;
  }
  const int64_t wall_us = absl::ToUnixMicros(host_->clock().Wall());
  if (clock_used_ && absl::ToUnixMicros(last_now_) > header_->clock_us()) {
    header_->set_clock_us(absl::ToUnixMicros(last_now_));
    counted = true;
  }
  const int64_t size = header_->usage().size_bytes();
  const int64_t off = std::abs(size - header_->catalog_size_bytes());
  if (catalog_changed_ || wall_us - header_->catalog_update_time_us() >= absl::ToInt64Microseconds(kCatalogAge) ||
      off > std::max(kCatalogBytesOff, header_->catalog_size_bytes() / kCatalogPartOff)) {
    header_->set_catalog_update_time_us(std::max(wall_us, header_->create_time_us()));
    header_->set_catalog_size_bytes(size);
    header_changed_ = true;
    catalog_changed_ = false;
    catalog->Put(key_.encoded(), storage::CatalogValue(placement_ ? placement_->generation : 0, *header_));
  }
  if (counted) {
    const storage::RunNumber run = HeaderMayLag() ? host_->run_ : 0;
    if (run != 0) host_->NoteClock(absl::FromUnixMicros(header_->clock_us()));
    header_changed_ |= run == 0 || header_->run() != run;
    header_->set_run(run);
  }
  if (std::exchange(header_changed_, false)) {
    storage_.writes().Put(storage::kObjectHeaderKey, header_->SerializeAsString());
  }
}

bool Activation::HeaderMayLag() const {
  return !class_->for_clients && commits_ >= kLagCommitsMin && header_->usage().size_bytes() <= kLagBytesMax;
}

void Activation::SettleHeader() {
  if (!header_ || header_->run() == 0) return;
  header_->set_run(0);
  WriteSet catalog;
  if (header_->catalog_size_bytes() != header_->usage().size_bytes()) {
    header_->set_catalog_size_bytes(header_->usage().size_bytes());
    catalog.Put(key_.encoded(), storage::CatalogValue(placement_ ? placement_->generation : 0, *header_));
  }
  WriteSet writes;
  writes.Put(storage::kObjectHeaderKey, header_->SerializeAsString());
  JoinWrites(&writes);
  host_->pipeline_.Join(&host_->catalog_, &catalog);
}

void Activation::SettleCatalogSize() {
  if (!header_) return;
  const int64_t size = header_->usage().size_bytes() + storage_.usage().size_bytes;
  if (size != header_->catalog_size_bytes()) catalog_changed_ = true;
}

void Activation::JoinWrites(WriteSet* writes) {
  last_batch_ = host_->pipeline_.filling();
  if (relocation_ && !relocation_->copied_to.empty()) {
    WriteSet copy = *writes;
    copy.DropPatches();  // what they change may not be copied yet
    host_->pipeline_.Join(relocation_->keyspace.get(), &copy);
  }
  host_->pipeline_.Join(keyspace_.get(), writes);
}

void Activation::Join(WriteSet* catalog, WriteSet* alarms) {
  if (header_) UpdateHeader(catalog);
  clock_used_ = false;
  JoinWrites(&storage_.writes());
  host_->pipeline_.Join(&host_->catalog_, catalog);
  host_->pipeline_.Join(&host_->alarm_index_, alarms);
  host_->pipeline_.Join(host_->records_.keyspace(), &record_writes_);
  storage_.DropTurn();
}

void Activation::CommitTurn() {
  if (storage_.deleted_all()) {
    CommitDeletion();
  } else {
    CommitWrites();
  }
  for (auto& function : std::exchange(after_commit_, {})) {
    if (last_batch_ <= host_->pipeline_.durable()) {
      function();
      continue;
    }
    host_->pipeline_.WhenDurable(last_batch_, [function = std::move(function)](const absl::Status& status) mutable {
      if (status.ok()) function();
    });
  }
}

void Activation::CommitWrites() {
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  const bool alarm_changes = change && (change->time || alarm_);
  const bool object_changes = !storage_.writes().empty() || alarm_changes || header_changed_;
  if (!object_changes && record_writes_.empty()) {
    storage_.DropTurn();
    return;
  }
  if (object_changes && !header_) CreateHeader();
  if (alarm_changes)
    StoreAlarm(change->time ? std::optional(MakeAlarm(*change->time, change->clock)) : std::nullopt, &alarms);
  Join(&catalog, &alarms);
  ++commits_;
  if (object_changes) host_->ConsiderFamily(this);
}

void Activation::CommitDeletion() {
  if (relocation_) {
    AbortMove();
    family_refused_until_ = absl::InfinitePast();
  }
  WriteSet catalog;
  WriteSet alarms;
  const auto change = storage_.alarm_change();
  std::optional<NewAlarm> kept;
  if (change && change->time) {
    kept = MakeAlarm(*change->time, change->clock);
  } else if (!change && alarm_) {
    kept = {*alarm_, host_->alarms_.SteadyDueOf({alarm_->due_time_us(), key_.encoded()})};
  }
  // The turn may have written again after it deleted: then the object is a new one.
  const bool exists = kept || (storage_.writes().has_values() && !storage_.left());
  if (!header_ && !exists) {
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
    if (move_batch_ > host_->pipeline_.durable()) writes.DeleteRange(storage::KeyRange::All());
    for (const auto& [key, value] : storage_.writes().points()) {
      if (value) writes.Put(key, *value);
    }
    storage_.writes() = std::move(writes);
    old = std::exchange(keyspace_, std::make_unique<storage::Keyspace>(storage::PackedLocation(key_)));
    storage_.set_keyspace(keyspace_.get());
    host_->services_.families->Abandon(key_);
  }
  const bool by_itself = storage_.left();
  header_.reset();
  header_changed_ = false;
  if (exists) {
    CreateHeader();
  } else {
    catalog.Delete(key_.encoded());
  }
  StoreAlarm(kept, &alarms);
  Join(&catalog, &alarms);
  if (left) {
    host_->pipeline_.WhenDurable(last_batch_,
                                 [host = host_, old = std::move(old), left, by_itself](const absl::Status& status) {
                                   if (status.ok()) by_itself ? host->DropFamilySoon(*left) : host->DropFamily(*left);
                                 });
  }
}

// --- Moves.

bool Activation::WantsFamily() const {
  return !placement_ && !wants_family_ && !relocation_ && family_refused_until_ <= host_->clock().Steady();
}

void Activation::FamilyRefused() {
  wants_family_ = false;
  family_refused_until_ = host_->clock().Steady() + kFamilyRefused;
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
  if (host_->stopped_) {
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
  last_batch_ = host_->pipeline_.filling();
  host_->pipeline_.Join(relocation_->keyspace.get(), &copies);
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
  catalog.Put(key_.encoded(), storage::CatalogValue(placement_ ? placement_->generation : 0, *header_));
  if (!left) host_->pipeline_.Join(old.get(), &removals);
  host_->pipeline_.Join(&host_->catalog_, &catalog);
  if (placement_) {
    host_->services_.families->Adopt(key_, *placement_);
  } else {
    host_->services_.families->Abandon(key_);
  }
  // Until then batches name the old place.
  host_->pipeline_.WhenDurable(last_batch_, [host = host_, old = std::move(old), left](const absl::Status& status) {
    if (status.ok() && left) host->DropFamily(*left);
  });
  host_->Moved(this, ShardHost::MoveEnd::kDone, left);
}

void Activation::AbortMove() {
  Relocation relocation = std::move(*relocation_);
  relocation_.reset();
  const auto end = move_turn_->too_large ? ShardHost::MoveEnd::kTooLarge : ShardHost::MoveEnd::kFailed;
  move_turn_->goes_on = false;
  move_turn_ = nullptr;
  host_->Moved(this, end, std::nullopt);
  if (!relocation.to) return;
  family_refused_until_ = host_->clock().Steady() + kFamilyRefused;
  if (last_batch_ <= host_->pipeline_.durable()) {
    host_->DropFamily(*relocation.to);
    return;
  }
  // Until then batches name it.
  host_->pipeline_.WhenDurable(last_batch_, [host = host_, keyspace = std::move(relocation.keyspace),
                                             to = *relocation.to](const absl::Status& status) {
    if (status.ok()) host->DropFamily(to);
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
  AlarmRecord next = *alarm_;
  next.set_retry_count(next.retry_count() + 1);
  WriteSet catalog;
  WriteSet alarms;
  if (class_->alarm_attempts_max > 0 && next.retry_count() >= class_->alarm_attempts_max) {
    Log(LogLevel::kError, "alarm_dropped",
        {{"object", key_.DebugString()}, {"attempts", absl::StrCat(next.retry_count())}});
    StoreAlarm(std::nullopt, &alarms);
  } else {
    const absl::Duration delay = RetryDelay(next.retry_count(), random());
    next.set_due_time_us(absl::ToUnixMicros(host_->clock().Wall() + delay));
    StoreAlarm(NewAlarm{next, host_->clock().Steady() + delay}, &alarms);
  }
  Join(&catalog, &alarms);
}

}  // namespace holdfast::actors
