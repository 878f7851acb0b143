// The class "Object": an object with no behaviour of its own. Clients use its keys, its SQL database and its alarm.
//
// The alarm is delivered, under a lease, to a client that watches. Its state is one record, ClientAlarm, stored and in
// memory; the runtime's own alarm wakes the object to deliver or to end a lease.

#ifndef HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_
#define HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/alarms/alarm_watchers.h"
#include "actors/alarms/client_alarm.h"
#include "actors/executor/task.h"
#include "actors/object.h"
#include "actors/wire/sql_wire.h"
#include "holdfast/v1/object_service.pb.h"
#include "storage/sql/import.h"
#include "storage/sql/snapshot.h"
#include "storage/sql/value.h"

namespace holdfast::actors {

// ABORTED: no delivery with this token is out.
absl::Status StaleDelivery();

class PlainObject : public Object {
 public:
  using Object::Object;
  static const ObjectClass& Class();

  Task<absl::Status> Load() override;
  AlarmTaking TakesAlarm() override;
  Task<absl::Status> OnAlarm(const AlarmRun& run) override;
  size_t MemoryBytes() const override { return sizeof(*this) + alarm_.record().delivery().token().size(); }

  Task<absl::Status> PutEntries(const v1::PutEntriesRequest& request, v1::PutEntriesResponse* response);
  Task<absl::Status> DeleteEntries(const v1::DeleteEntriesRequest& request, v1::DeleteEntriesResponse* response);
  Task<absl::Status> ApplyBatch(const v1::ApplyBatchRequest& request, v1::ApplyBatchResponse* response);
  Task<absl::Status> ExecuteSql(const v1::ExecuteSqlRequest& request, v1::ExecuteSqlResponse* response);
  Task<absl::Status> MigrateSchema(const v1::MigrateSchemaRequest& request, v1::MigrateSchemaResponse* response);
  Task<absl::Status> SetAlarm(const v1::SetAlarmRequest& request, v1::SetAlarmResponse* response);
  Task<absl::Status> DeleteAlarm(const v1::DeleteAlarmRequest& request, v1::DeleteAlarmResponse* response);
  Task<absl::Status> AcknowledgeAlarm(const v1::AcknowledgeAlarmRequest& request,
                                      v1::AcknowledgeAlarmResponse* response);
  Task<absl::Status> ExtendAlarmLease(const v1::ExtendAlarmLeaseRequest& request,
                                      v1::ExtendAlarmLeaseResponse* response);
  // Takes a snapshot of the SQL database as of now.
  Task<absl::Status> TakeSnapshot(std::shared_ptr<storage::sql::Snapshot>* snapshot);
  // The steps of an import (storage/sql/import.h).
  Task<absl::Status> BeginImport(storage::sql::ImportId* id);
  Task<absl::Status> ImportPages(storage::sql::ImportId id, uint32_t first, std::string pages);
  Task<absl::Status> EndImport(storage::sql::ImportId id, uint32_t page_count);
  Task<absl::Status> AbortImport(storage::sql::ImportId id);
  // Makes the alarm due again: the delivery with this token, if it is out, never reached its watcher.
  Task<absl::Status> ReturnAlarm(const std::string& token);
  Task<absl::Status> DeleteAll(const v1::DeleteAllRequest& request, v1::DeleteAllResponse* response) override;

 protected:
  std::optional<absl::Time> VisibleAlarm() override { return alarm_.Visible(Now()); }

 private:
  // An entry as it is stored.
  struct Seen {
    size_t value_bytes;
    std::string etag;  // empty unless asked for
  };
  using SeenEntries = std::map<std::string, Seen>;

  // Looks the keys up and returns the entries that exist. A key's value `true` asks for the etag.
  storage::StorageOp<SeenEntries> Look(std::map<std::string, bool> keys);
  // Runs the statements in one transaction.
  storage::StorageOp<std::vector<storage::sql::Result>> RunAll(std::vector<SqlText> texts, bool read_only);
  // Returns, in order, whether each precondition about SQL holds.
  storage::StorageOp<std::vector<bool>> AskSql(const v1::ApplyBatchRequest& request);
  // Ends a lease that has expired. StoreAlarm must follow, as after every change of alarm_.
  void SettleLease();
  void Ended(std::string token, AlarmWatchers::End end);
  void StoreAlarm();

  ClientAlarm alarm_;
  bool alarm_stored_ = false;
  // The place that TakesAlarm has claimed, for OnAlarm.
  std::optional<AlarmWatchers::Claim> claim_;
};

}  // namespace holdfast::actors

#endif  // HOLDFAST_ACTORS_OBJECTS_PLAIN_OBJECT_H_
