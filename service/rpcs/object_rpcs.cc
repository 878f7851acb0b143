// ObjectService: the methods that objects of every class have, and those of PlainObject, the class that clients write.

#include "actors/objects/plain_object.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "service/rpcs/alarm_watch.h"
#include "service/rpcs/builtin.h"
#include "service/rpcs/object_calls.h"
#include "service/rpcs/object_files.h"
#include "service/rpcs/rights.h"
#include "service/rpcs/rpc_rows.h"
#include "service/rpcs/sql_files.h"

namespace holdfast::service {

using actors::Object;
using actors::PlainObject;

void AddObjectRpcs(Extension* extension) {
  extension->object_classes.push_back(&PlainObject::Class());

  RpcRows<v1::ObjectService> rows;
  // Null: the request names the class.
  const actors::ObjectClass* const named = nullptr;
  rows.Unary<&Object::GetEntries>("GetEntries", Verb::kRead, named);
  rows.Unary<&PlainObject::PutEntries>("PutEntries", Verb::kWrite, named);
  rows.Unary<&PlainObject::DeleteEntries>("DeleteEntries", Verb::kWrite, named);
  rows.Unary<&Object::ListEntries>("ListEntries", Verb::kRead, named);
  rows.Unary<&PlainObject::ApplyBatch>("ApplyBatch", Verb::kWrite, named);

  rows.Unary<&PlainObject::ExecuteSql>("ExecuteSql", Verb::kWrite, named);
  rows.Unary<&PlainObject::MigrateSchema>("MigrateSchema", Verb::kWrite, named);
  rows.Custom("ExportSql", Verb::kRead, &PostSqlExport, /*for_clients=*/true);
  rows.Custom("ImportSql", Verb::kWrite, &PostSqlImport, /*for_clients=*/true);
  rows.Custom("ExportObject", Verb::kRead, &PostObjectExport);
  rows.Custom("ImportObject", Verb::kAdmin, &PostObjectImport);

  rows.Unary<&PlainObject::SetAlarm>("SetAlarm", Verb::kWrite, named);
  rows.Unary<&Object::GetAlarm>("GetAlarm", Verb::kRead, named);
  rows.Unary<&PlainObject::DeleteAlarm>("DeleteAlarm", Verb::kWrite, named);
  rows.Custom("WatchAlarms", Verb::kWrite, &PostAlarmWatch);
  rows.Unary<&PlainObject::AcknowledgeAlarm>("AcknowledgeAlarm", Verb::kWrite, named);
  rows.Unary<&PlainObject::ExtendAlarmLease>("ExtendAlarmLease", Verb::kWrite, named);

  rows.Unary<&Object::DeleteAll>("DeleteAll", Verb::kWrite, named);
  rows.Unary<&Object::Cleanup>("Cleanup", Verb::kWrite, named);
  rows.Gather("ListObjects", Verb::kRead, &ListObjects, &MergeObjects, GatherKind::kWhole);
  rows.OfObject<v1::DescribeObjectRequest>("DescribeObject", Verb::kRead, &DescribeObject);
  rows.OfObject<v1::PassivateObjectRequest>("PassivateObject", Verb::kWrite, &PassivateObject);
  rows.Custom("GetRights", Verb::kRead, &PostGetRights);
  extension->services.push_back(rows.Take());
}

}  // namespace holdfast::service
