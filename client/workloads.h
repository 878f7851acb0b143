// The workloads of `holdfast bench`: for each the calls on an object, and what must be there before.

#ifndef HOLDFAST_CLIENT_WORKLOADS_H_
#define HOLDFAST_CLIENT_WORKLOADS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"

namespace holdfast::client {

struct Workload {
  const char* name;
  const char* about;
  const char* object_class;
  // Makes what the calls need in an object; null: nothing. It may run again on the same object.
  absl::Status (*prepare)(Client& client, const v1::ObjectRef& object);
  // Makes the `number`th call of the load, on this object. Any thread may call it.
  absl::Status (*call)(Client& client, const v1::ObjectRef& object, int64_t number);
};

const std::vector<Workload>& Workloads();
// Returns null if there is no workload of this name.
const Workload* FindWorkload(const std::string& name);

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_WORKLOADS_H_
