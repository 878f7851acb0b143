// A method of a service as the call gate, the log and the records of requests know it.

#ifndef HOLDFAST_SERVICE_CALL_METHOD_H_
#define HOLDFAST_SERVICE_CALL_METHOD_H_

#include <cstddef>
#include <string>

namespace holdfast::service {

// The verb says what the method is to a permission: a rule allows a verb on the objects of a class in a namespace. The
// row of each method has one (service/rpcs).
//
//   kRead    changes nothing: GetX, BatchGetX, ListX, DescribeObject, ExportSql; health and reflection
//   kWrite   can change an object or its alarm: Increment, PutEntries, ImportSql, MigrateSchema, DeleteAll, Cleanup ...
//   kAdmin   is for those who run the server: AdminService, PassivateObject
//
// A method has one verb, that of the most it can do. Therefore these are writes: ExecuteSql also with a SELECT,
// CheckLimit also with `peek`, and WatchAlarms, which takes a lease of each alarm that it delivers. PassivateObject
// changes nothing that a client could read, but unloads an object that others use.
enum class Verb { kRead, kWrite, kAdmin };

struct Method {
  std::string name;  // "holdfast.v1.CounterService.Increment"
  Verb verb;
  // The method needs an object of a class that clients may write (ObjectClass::for_clients).
  bool for_clients = false;
  // The place of the method among those of the server, which the table of RPCs gives it (RpcTable::Add).
  size_t number = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_METHOD_H_
