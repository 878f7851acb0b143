// A contender's process: started with these arguments, ended by its pid, its CPU time and memory read from /proc.

#ifndef HOLDFAST_TESTS_BENCH_CHILD_H_
#define HOLDFAST_TESTS_BENCH_CHILD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace holdfast::bench {

class Child {
 public:
  // Output goes to `log_path`. `environment` is added to this process's.
  Child(const std::vector<std::string>& arguments, const std::string& log_path,
        const std::vector<std::string>& environment = {});
  // SIGTERM, and SIGKILL if that does not end it within 10 s.
  ~Child();
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Waits until something listens on the loopback port. Exits this program with the log if nothing does in time.
  void WaitForPort(int port, absl::Duration timeout = absl::Seconds(60)) const;

 private:
  const pid_t pid_;
  const std::string log_path_;
};

// A loopback port on which nobody listens.
int FreePort();

// Of a process and its descendants: user and system time so far, and resident memory.
absl::Duration CpuTimeOf(pid_t pid);
double ResidentMbOf(pid_t pid);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_CHILD_H_
