// The real holdfastd as a child process. It chooses its port, uses a data directory of the test, and is ended by its
// pid.

#ifndef HOLDFAST_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define HOLDFAST_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <grpcpp/channel.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace holdfast::testing {

// A directory that is removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The program to start: holdfastd, or another one that takes its arguments and some of its own.
struct ServerProgram {
  std::string path;
  std::vector<std::string> arguments = {};
  // The program's limit on open files; 0: the limit of the test.
  int open_files_max = 0;
  // The user id under which the program runs, in group 0 alone, which only root can ask for; none: the test's user.
  std::optional<uid_t> user = {};
  std::string listen = "127.0.0.1:0";
};
const ServerProgram& Holdfastd();

class ServerProcess {
 public:
  // Starts the server with this configuration (text format) and data directory, and waits until it serves. Aborts the
  // test if that takes over half a minute. `log_suffix` tells the logs of two servers with one directory apart.
  explicit ServerProcess(const std::string& data_dir, const std::string& config = "",
                         const std::string& log_suffix = "", const ServerProgram& program = Holdfastd());
  // Kills the server if it still runs.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;

  // Starts the server with these arguments and returns its exit status and what it printed; for starts that fail.
  struct Exit {
    int status;
    std::string output;
  };
  static Exit RunToEnd(const std::vector<std::string>& arguments, const ServerProgram& program = Holdfastd());

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }
  // Returns a new channel, with a connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  std::string Log() const;

  // Sends SIGKILL and waits for the end.
  void Kill();
  // Sends SIGTERM and waits for the end. Returns as Wait() does.
  int Terminate();
  void Signal(int signal);
  // Waits for the end. Returns the exit status, or minus the signal that ended the server.
  int Wait();
  // Returns what Wait() returns if the server has ended by itself, and nothing while it runs or after another end.
  std::optional<int> Ended();

 private:
  pid_t pid_ = -1;
  std::string address_;
  std::string log_path_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_INTEGRATION_SERVER_PROCESS_H_
