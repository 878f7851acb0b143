// A server of another project, as a child process on a loopback port: Envoy, envoyproxy/ratelimit, Redis.
//
// install.sh installs them. Threading: one thread. The destructor ends the process.

#ifndef HOLDFAST_TESTS_ENVOY_TOOL_PROCESS_H_
#define HOLDFAST_TESTS_ENVOY_TOOL_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace holdfast::testing {

class ToolProcess {
 public:
  // Returns the path of a program that install.sh has installed; "" if it has not.
  static std::string PathOf(const std::string& name);

  // Starts the program and waits until something listens on the port. Aborts the test if that takes over half a minute.
  // `environment` has NAME=VALUE. The log goes to `log_path`.
  ToolProcess(const std::string& name, const std::vector<std::string>& arguments,
              const std::vector<std::string>& environment, int port, const std::string& log_path);
  ~ToolProcess();
  ToolProcess(const ToolProcess&) = delete;
  ToolProcess& operator=(const ToolProcess&) = delete;

 private:
  pid_t pid_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_ENVOY_TOOL_PROCESS_H_
