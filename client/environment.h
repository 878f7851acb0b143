// Variables of the environment.
//
// Threading: any thread. Only main() sets any, before there is another thread.

#ifndef HOLDFAST_CLIENT_ENVIRONMENT_H_
#define HOLDFAST_CLIENT_ENVIRONMENT_H_

#include <cstdlib>
#include <string>

namespace holdfast::client {

// Returns the value of a variable; "" for one that is not set.
inline std::string Variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing changes the environment
  return value == nullptr ? "" : value;
}

}  // namespace holdfast::client

#endif  // HOLDFAST_CLIENT_ENVIRONMENT_H_
