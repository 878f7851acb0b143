// Starts another program for a test or a benchmark. The caller ends it by its pid and waits for it.

#ifndef HOLDFAST_TESTS_SHARED_START_PROCESS_H_
#define HOLDFAST_TESTS_SHARED_START_PROCESS_H_

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::process {

struct ProcessOptions {
  std::vector<std::string> arguments;         // the program comes first, and is looked for in PATH
  std::vector<std::string> environment = {};  // NAME=VALUE, beside the variables of this process
  // The file that gets the output, at its end. Without one, the process writes where this one does.
  std::string output_path = {};
  bool standard_error = true;  // errors go to that file, too
  // A descriptor of this process, and the number that the process has it under.
  std::optional<std::pair<int, int>> descriptor = {};
  // The limit on open files; 0: that of this process.
  int open_files_max = 0;
  // The user id, in group 0 alone, which only root can ask for; none: that of this process.
  std::optional<uid_t> user = {};
};

// Returns the pid of the process, or -1 if the system has no more. A program that can't be started ends with status
// 127.
inline pid_t StartProcess(ProcessOptions options) {
  std::vector<char*> arguments;
  for (std::string& argument : options.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (std::string& variable : options.environment) environment.push_back(variable.data());
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  environment.push_back(nullptr);
  int output = -1;
  if (!options.output_path.empty()) {
    output = open(options.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  const pid_t pid = fork();
  if (pid == 0) {
    if (output >= 0) dup2(output, STDOUT_FILENO);
    if (output >= 0 && options.standard_error) dup2(output, STDERR_FILENO);
    if (options.descriptor) dup2(options.descriptor->first, options.descriptor->second);
    if (options.open_files_max > 0) {
      const auto files = static_cast<rlim_t>(options.open_files_max);
      const rlimit limit{files, files};
      setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options.user && (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 ||
                         setresuid(*options.user, *options.user, *options.user) != 0)) {
      _exit(126);
    }
    execvpe(arguments[0], arguments.data(), environment.data());
    _exit(127);
  }
  if (output >= 0) close(output);
  return pid;
}

}  // namespace holdfast::process

#endif  // HOLDFAST_TESTS_SHARED_START_PROCESS_H_
