// The verb of a method says what the method is to a permission: a rule allows a verb on the objects of a class in a
// namespace. The row of each method has one (service/rpcs).
//
//   kRead    changes nothing: GetX, BatchGetX, ListX, DescribeObject, ExportSql; health and reflection
//   kWrite   can change an object or its alarm: Increment, PutEntries, ImportSql, MigrateSchema, DeleteAll, Cleanup ...
//   kAdmin   is for those who run the server: PassivateObject
//
// A method has one verb, that of the most it can do. Therefore these are writes: ExecuteSql also with a SELECT,
// CheckLimit also with `peek`, and WatchAlarms, which takes a lease of each alarm that it delivers. PassivateObject
// changes nothing that a client could read, but unloads an object that others use.

#ifndef HOLDFAST_SERVICE_CALL_VERB_H_
#define HOLDFAST_SERVICE_CALL_VERB_H_

namespace holdfast::service {

enum class Verb { kRead, kWrite, kAdmin };

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_VERB_H_
