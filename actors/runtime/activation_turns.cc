// The coroutines of the runtime itself: the load of an object, its alarm, a request with a request_id, a step of a
// move.

#include "actors/runtime/activation_turns.h"

#include <algorithm>
#include <optional>
#include <string>

#include "actors/runtime/lane.h"
#include "actors/wire/errors.h"

namespace holdfast::actors {
namespace {

// Reads a record that has one key in the object.
storage::StorageOp<std::optional<std::string>> ReadKey(storage::Reader* reader, const std::string& key) {
  return {reader, storage::KeyRange::Single(key), [key](storage::View& view) { return view.Get(key); }};
}

}  // namespace

Task<absl::Status> Activation::Load() {
  leaving_tried_ = false;
  absl::Status loaded = co_await record_.Load(storage_);
  if (!loaded.ok()) co_return loaded;
  if (record_.exists() && record_.header()->schema_version() < class_->schema_version()) {
    for (const Migration& migration : class_->migrations) {
      if (migration.version <= record_.header()->schema_version()) continue;
      absl::Status status = co_await migration.run(storage_, Now());
      if (!status.ok()) co_return status;
    }
    if (storage_.writes().bytes() > lane_->options.turn_bytes_max) {
      co_return QuotaExceeded("turn_bytes_max", "the migrations of one object write too much for one commit");
    }
    record_.SetMigrated();
  }
  object_ = class_->make(this);
  co_return co_await object_->Load();
}

Task<absl::Status> Activation::RunAlarm(AlarmTurn* turn) {
  if (!record_.alarm() || lane_->stopped) co_return absl::OkStatus();
  if (const storage::AlarmEntry entry = {record_.alarm()->due_time_us(), key_.encoded()}; !lane_->alarms.IsDue(entry)) {
    // A later one has replaced it, or the wall clock stepped back since it fired: it comes again.
    lane_->alarms.Again(entry);
    co_return absl::OkStatus();
  }
  if (const AlarmTaking taking = object_->TakesAlarm(); taking != AlarmTaking::kYes) {
    turn->end = taking == AlarmTaking::kLater ? AlarmScheduler::End::kLater : AlarmScheduler::End::kNotTaken;
    co_return absl::OkStatus();
  }
  if (storage::Observer* const observer = lane_->services.observer) {
    const absl::Time due = absl::FromUnixMicros(record_.alarm()->due_time_us());
    observer->AlarmBegun(class_->name, std::max(absl::ZeroDuration(), lane_->clock().Wall() - due));
  }
  turn->ran = true;
  turn->generation = record_.alarm_generation();
  storage_.set_stored_alarm(std::nullopt);
  absl::Status status = co_await object_->OnAlarm(
      {absl::FromUnixMicros(record_.alarm()->scheduled_time_us()), record_.alarm()->retry_count()});
  // In the same commit: nobody would wake an empty object again, to end it later.
  if (status.ok() && turns_.size() == 1) status = co_await Leave();
  co_return status;
}

Task<absl::Status> Activation::RunRecorded(Delivery* request) {
  RecordedRequest* const recorded = request->recorded();
  storage::KeyspaceReader records(lane_->services.store, lane_->services.reads, lane_->records.keyspace(), this);
  auto bytes = co_await ReadKey(&records, RequestRecords::Key(key_, recorded->request_id()));
  if (!bytes.ok()) co_return bytes.status();
  if (*bytes) {
    request->progress.unrecorded = true;
    co_return RequestRecords::Replay(**bytes, recorded);
  }
  if (absl::Status status = lane_->records.CheckRoom(key_); !status.ok()) co_return status;
  co_return co_await request->Run(*object_);
}

Task<absl::Status> Activation::ReadPart(MoveTurn* turn) {
  if (!record_.exists() || turn != move_turn_) co_return absl::NotFoundError("the object is gone");
  co_return co_await place_.ReadPart(&turn->part);
}

}  // namespace holdfast::actors
