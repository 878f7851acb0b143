// The records of the runtime about an object, beside the data of its handlers: the header (creation, schema version,
// clock and usage), the record in the catalog, and the alarm with its entry in the index. They are in memory with the
// activation, as the turns so far have left them.
//
// The object's clock is here too, since the header bounds it: the clock never reads earlier than any time that the
// object has stored or shown. While the object is in memory, the clock advances with the steady clock.
//
// The class only stages: changes go into the write sets that the activation gives it, and are durable with their batch.
// Threading: the executor. Errors: Load returns DATA_LOSS, SCHEMA_NEWER and the errors of the store.

#ifndef HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_
#define HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_

#include <cstdint>
#include <memory>
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
    // For an alarm that was set by a delay: the steady time at which the delay has passed.
    std::optional<absl::Time> steady_due;
  };

  // The pointers outlive this.
  ObjectRecord(const storage::ObjectKey* key, const ObjectClass* object_class, Lane* lane)
      : key_(key), class_(object_class), lane_(lane) {}
  ObjectRecord(const ObjectRecord&) = delete;
  ObjectRecord& operator=(const ObjectRecord&) = delete;

  // Reads header and alarm, and counts what the object stores if a crash left the header behind.
  Task<absl::Status> Load(storage::ObjectStorage& storage);
  // Drops the unstaged change of the header after a load that failed.
  void DropChanges() { header_changed_ = false; }

  // Returns the object's clock, in whole microseconds.
  absl::Time Now();
  // Returns the last reading of the clock, also from before the load; the infinite past if there is none.
  absl::Time last_reading() const;

  // Returns the header; absent if the object was not loaded or does not exist.
  const std::optional<storage::v1::ObjectHeader>& header() const { return header_; }
  bool exists() const { return header_.has_value(); }
  bool header_changed() const { return header_changed_; }
  int64_t size_bytes() const { return header_ ? header_->usage().size_bytes() : 0; }
  // Returns the alarm; null if none is set. It stays until the alarm changes.
  const storage::v1::AlarmRecord* alarm() const { return alarm_.get(); }
  // Counts the changes of alarm().
  uint64_t alarm_generation() const { return alarm_generation_; }
  // Returns the number of turns that have committed since the object came into memory.
  int commits() const { return commits_; }
  void CountCommit() { ++commits_; }

  void Create();
  // Forgets the header of a deleted object. The alarm stays.
  void Forget();
  // Records that the object now has its class's schema version.
  void SetMigrated();

  // Makes the alarm that a handler has set for `time` by `clock`.
  NewAlarm MakeAlarm(absl::Time time, storage::AlarmClock clock);
  // Returns the alarm as it is, for a deletion that keeps it.
  std::optional<NewAlarm> KeepAlarm() const;
  // Returns the alarm for the next attempt after one that failed; absent, and logged, after the last that its class
  // allows.
  std::optional<NewAlarm> RetryAlarm();
  // Replaces the alarm: its record in `storage`, its index entry in `alarms`, and its entry in the scheduler.
  void StoreAlarm(const std::optional<NewAlarm>& next, storage::ObjectStorage* storage, storage::WriteSet* alarms);

  // Stages the turn's changes of usage, clock and catalog record. `generation` is that of the object's family, 0 if it
  // is packed.
  void Stage(uint64_t generation, storage::ObjectStorage* storage, storage::WriteSet* catalog);
  // Stages a header that has lagged behind until now, with the size in the catalog. Returns whether there is one.
  bool Settle(uint64_t generation, storage::WriteSet* writes, storage::WriteSet* catalog);
  // The next Stage writes the size in the catalog as it is after this turn.
  void SettleCatalogSize(const storage::UsageChange& turn);

 private:
  // Returns the time at which the object's clock goes on, as if the object had never left memory. It is derived from
  // the alarm, if the object has set that by its own clock in this run of the server; absent otherwise, or in a retry.
  std::optional<absl::Time> TimeByAlarm() const;
  // Puts a stored clock that is too far ahead of the wall clock back to it.
  void SetBackClock();
  // Tells the usage of the namespace of a change of the catalog record.
  void CountChange(int64_t objects, int64_t bytes);
  // Returns whether the header may lag: usage and clock are not written with each turn, and a load after a crash
  // restores them.
  bool MayLag() const;

  const storage::ObjectKey* const key_;
  const ObjectClass* const class_;
  Lane* const lane_;

  std::optional<storage::v1::ObjectHeader> header_;
  bool header_changed_ = false;
  bool catalog_changed_ = false;
  std::unique_ptr<storage::v1::AlarmRecord> alarm_;
  uint64_t alarm_generation_ = 0;
  int commits_ = 0;

  absl::Time last_now_ = absl::InfinitePast();
  // The object's clock is ahead of the steady one by this much. It is fixed when the clock is first asked after a load,
  // and infinite before.
  absl::Duration clock_ahead_ = absl::InfiniteDuration();
  bool clock_used_ = false;  // by this turn
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_RUNTIME_OBJECT_RECORD_H_
