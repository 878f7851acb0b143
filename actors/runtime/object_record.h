// What is stored about an object itself, beside what its handlers store: the header (creation, schema version, clock
// and usage), the record in the catalog, and the alarm with its entry in the index. It is as the turns so far have left
// it, and is in memory with the activation.
//
// The object's clock is here too, since the header bounds it: the clock never reads earlier than anything that the
// object has stored or shown. Within a stay in memory it goes on with the steady clock.
//
// The class only stages: whatever changes goes into the write sets that the activation gives it, and is durable with
// their batch. Threading: the executor. Errors: those of Load are DATA_LOSS, SCHEMA_NEWER and the store's.

#ifndef HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_
#define HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/object/object_storage.h"
#include "storage/object/usage.h"
#include "storage/store/object_id.h"
#include "storage/store/write_set.h"

namespace holdfast::actors {

struct Lane;

class ObjectRecord {
 public:
  struct NewAlarm {
    storage::v1::AlarmRecord record;
    // The steady time at which the delay has passed, for an alarm that comes of a delay.
    std::optional<absl::Time> steady_due;
  };

  // The pointers outlive this.
  ObjectRecord(const storage::ObjectKey* key, const ObjectClass* object_class, Lane* lane)
      : key_(key), class_(object_class), lane_(lane) {}
  ObjectRecord(const ObjectRecord&) = delete;
  ObjectRecord& operator=(const ObjectRecord&) = delete;

  // Reads header and alarm, and counts what the object stores if a crash left the header behind.
  Task<absl::Status> Load(storage::ObjectStorage& storage);
  // A load that failed: what it changed is not staged.
  void DropChanges() { header_changed_ = false; }

  // The object's clock, in microseconds.
  absl::Time Now();
  // The last reading, in this stay in memory or before; the infinite past if there is none.
  absl::Time last_reading() const;

  // Absent if the object was not loaded or does not exist.
  const std::optional<storage::v1::ObjectHeader>& header() const { return header_; }
  bool exists() const { return header_.has_value(); }
  bool header_changed() const { return header_changed_; }
  int64_t size_bytes() const { return header_ ? header_->usage().size_bytes() : 0; }
  const std::optional<storage::v1::AlarmRecord>& alarm() const { return alarm_; }
  // Counts the changes of alarm().
  uint64_t alarm_generation() const { return alarm_generation_; }
  // Of turns, since the object came into memory.
  int commits() const { return commits_; }
  void CountCommit() { ++commits_; }

  void Create();
  // The object is deleted: what was recorded of it is gone, but for the alarm.
  void Forget();
  // The object's class has migrated it to its own schema version.
  void SetMigrated();

  // The alarm that a handler has set for this time by that clock.
  NewAlarm MakeAlarm(absl::Time time, storage::AlarmClock clock);
  // The alarm as it is, to be kept by a deletion.
  std::optional<NewAlarm> KeepAlarm() const;
  // The alarm after an attempt that failed; absent, and logged, after the last that its class allows.
  std::optional<NewAlarm> RetryAlarm();
  // Replaces the alarm: its record in `storage`, its entry in `alarms`, and in the scheduler.
  void StoreAlarm(const std::optional<NewAlarm>& next, storage::ObjectStorage* storage, storage::WriteSet* alarms);

  // Stages what the turn has changed of usage, clock and catalog record. `generation`: of the object's family, 0 if it
  // is packed.
  void Stage(uint64_t generation, storage::ObjectStorage* storage, storage::WriteSet* catalog);
  // Stages a header that has lagged behind until now, with the size in the catalog. Returns whether there is one.
  bool Settle(uint64_t generation, storage::WriteSet* writes, storage::WriteSet* catalog);
  // The next Stage writes the size in the catalog as it is after this turn.
  void SettleCatalogSize(const storage::UsageChange& turn);

 private:
  // The time of an object that comes back into memory while an alarm waits that it has set by its own clock in this
  // run: its clock goes on as if it had never left.
  std::optional<absl::Time> TimeByAlarm() const;
  // Puts a stored clock that is too far ahead of the wall clock back to it.
  void SetBackClock();
  // Returns whether usage and clock need not be written with each turn: a crash leaves them to be found out again.
  bool MayLag() const;

  const storage::ObjectKey* const key_;
  const ObjectClass* const class_;
  Lane* const lane_;

  std::optional<storage::v1::ObjectHeader> header_;
  bool header_changed_ = false;
  bool catalog_changed_ = false;
  std::optional<storage::v1::AlarmRecord> alarm_;
  uint64_t alarm_generation_ = 0;
  int commits_ = 0;

  absl::Time last_now_ = absl::InfinitePast();
  // The object's clock is ahead of the steady one by this much. It is fixed when the clock is first asked after a load.
  std::optional<absl::Duration> clock_ahead_;
  bool clock_used_ = false;  // by this turn
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_
