// A contender's process. It is started with these arguments and ended by its pid; its CPU time and memory are read from
// /proc.

#ifndef HOLDFAST_TESTS_BENCH_CHILD_H_
#define HOLDFAST_TESTS_BENCH_CHILD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::bench {

class Child {
 public:
  // Output goes to `log_path`. `environment` is added to the environment of this process.
  Child(const std::vector<std::string>& arguments, const std::string& log_path,
        const std::vector<std::string>& environment = {});
  // Sends SIGTERM, and SIGKILL if the process has not ended after 10 s.
  ~Child();
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Waits until the process has ended by itself, or the time is over.
  void WaitForEnd(absl::Duration timeout) const;
  // Waits until something listens on the loopback port. Prints the log and exits this program if nothing does in time.
  void WaitForPort(int port, absl::Duration timeout = absl::Seconds(60)) const;

 private:
  bool HasEnded() const;

  const pid_t pid_;
  const std::string log_path_;
};

// User and system time so far, and resident memory, of a process and its descendants.
absl::Duration CpuTimeOf(pid_t pid);
double ResidentMbOf(pid_t pid);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_CHILD_H_
