// The real Envoy in front of a service that says yes to everything, with its rate limit filter in between.
//
// Two listeners ask the rate limit service with the descriptor (path, the path of the request): one lets requests
// through when that service does not answer, and one denies them.

#ifndef HOLDFAST_TESTS_ENVOY_ENVOY_PROCESS_H_
#define HOLDFAST_TESTS_ENVOY_ENVOY_PROCESS_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "tests/envoy/tool_process.h"

namespace holdfast::testing {

class EnvoyProcess {
 public:
  // The time that Envoy gives the rate limit service: more than a busy machine takes for an answer.
  static constexpr absl::Duration kTimeout = absl::Seconds(3);

  // Calls the rate limit service on this loopback port, for this domain and with this bearer token. Files go into
  // `directory`.
  EnvoyProcess(const std::string& directory, int limits_port, const std::string& domain, const std::string& token);

  // ADDRESS:PORT of the listeners.
  std::string open_address() const { return Address(open_port_); }
  std::string deny_address() const { return Address(deny_port_); }

 private:
  static std::string Address(int port);

  const int open_port_;
  const int deny_port_;
  std::unique_ptr<ToolProcess> process_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_ENVOY_ENVOY_PROCESS_H_
