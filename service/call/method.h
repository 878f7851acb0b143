// A method of a service as the call gate, the log and the records of requests know it.

#ifndef HOLDFAST_SERVICE_CALL_METHOD_H_
#define HOLDFAST_SERVICE_CALL_METHOD_H_

#include <cstddef>
#include <string>

#include "service/access/policy.h"

namespace holdfast::service {

struct Method {
  std::string name;  // "holdfast.v1.CounterService.Increment"
  Verb verb;
  // The method needs an object of a class that clients may write (ObjectClass::for_clients).
  bool for_clients = false;
  // Anybody may call the method, without credentials: health.
  bool open = false;
  // Nodes of a cluster call the method again and again: their calls have no line in the audit log.
  bool between_nodes = false;
  // The place of the method among those of the server, which the table of RPCs gives it (RpcTable::Add).
  size_t number = 0;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_CALL_METHOD_H_
