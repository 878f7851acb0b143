#include "client/request_id.h"

#include <random>

#include "absl/strings/str_format.h"

namespace holdfast::client {

std::string NewRequestId() {
  // The numbers come from the machine: a generator with a state would draw the same ones in two processes after a fork.
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

}  // namespace holdfast::client
