// A machine of a test: the processes that a command starts, in a process namespace of their own. They are killed,
// stopped and continued together, and none of them outlives the test. The command is process 1 of its namespace.
//
// They run as the user postgres if the test is root, and otherwise as the test's user, in a user namespace.
//
// Threading: the thread that has made it; the processes end when that thread ends.

#ifndef HOLDFAST_TESTS_CLUSTER_MACHINE_H_
#define HOLDFAST_TESTS_CLUSTER_MACHINE_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace holdfast::testing {

class Machine {
 public:
  // Its processes append their output to this file.
  explicit Machine(std::string log_path) : log_path_(std::move(log_path)) {}
  ~Machine() { Kill(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // The machine must not run.
  void Start(std::vector<std::string> arguments);
  // SIGKILL to all processes. They are gone on return.
  void Kill();
  // SIGSTOP to all processes, and SIGCONT.
  void Freeze();
  void Thaw();
  // SIGKILL to the process of this name whose parent has another name. Returns false if there is none.
  bool KillTopmost(const std::string& name);
  bool runs() const { return pid_ > 0; }
  // Gives a file or directory to the user of the processes.
  static void Own(const std::string& path);

 private:
  struct Process {
    pid_t pid;
    std::string name;
    std::string parent;
  };
  // The processes of the namespace, each after its parent.
  std::vector<Process> Processes() const;

  const std::string log_path_;
  pid_t pid_ = 0;  // of the process outside the namespace that waits for the command
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_MACHINE_H_
