// A PostgreSQL server of a test's own: Debian's, in a scratch directory, on a Unix socket, as an unprivileged user. It
// can be killed and started again. Its settings are the safe ones.
//
// The directory is in memory where that is possible, so that a sync costs little; what survives a kill is the same.

#ifndef HOLDFAST_TESTS_SHARED_POSTGRES_SERVER_H_
#define HOLDFAST_TESTS_SHARED_POSTGRES_SERVER_H_

#include <pwd.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/shared/start_process.h"

namespace holdfast::testing_server {

struct PostgresOptions {
  std::vector<std::string> settings = {};  // lines of postgresql.conf
  // The size of a file system of its own for the data, which only root can make; 0: none.
  int64_t disk_bytes = 0;
};

class PostgresServer {
 public:
  explicit PostgresServer(const std::vector<std::string>& settings = {}) : PostgresServer(PostgresOptions{settings}) {}
  // Starts the server; ends the process if that is not possible.
  explicit PostgresServer(const PostgresOptions& options) {
    MakeDirectory(options.disk_bytes);
    Run({absl::StrCat(kPrograms, "/initdb"), "-D", data(), "-U", "holdfast", "-A", "trust", "-E", "UTF8", "--no-sync",
         "--no-locale"},
        "initdb");
    std::ofstream conf(absl::StrCat(data(), "/postgresql.conf"), std::ios::app);
    conf << "listen_addresses = ''\nunix_socket_directories = '" << directory_
         << "'\nshared_buffers = 64MB\nmax_connections = 60\nmax_wal_size = 256MB\nlog_min_messages = warning\n";
    for (const std::string& line : options.settings) conf << line << "\n";
    conf.close();
    Start();
  }
  // Starts another server with a copy of the data of one that is killed; from then on each has its own.
  struct CopyOf {
    const PostgresServer* killed;
  };
  explicit PostgresServer(CopyOf original) {
    MakeDirectory(/*disk_bytes=*/0);
    Run({"cp", "-a", original.killed->data(), data()}, "cp");
    // The last line counts.
    std::ofstream(absl::StrCat(data(), "/postgresql.conf"), std::ios::app)
        << "unix_socket_directories = '" << directory_ << "'\n";
    Start();
  }
  ~PostgresServer() {
    Kill();
    std::error_code ignored;
    if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(directory_, ignored);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // For libpq; `schema` becomes the place of all tables.
  std::string conninfo(const std::string& schema = "public") const {
    return absl::StrCat("host=", directory_, " dbname=postgres user=holdfast options='-csearch_path=", schema, "'");
  }
  // The same over TCP, through something at this place that leads to socket_path().
  std::string conninfo_at(const std::string& host, int port) const {
    return absl::StrCat("host=", host, " port=", port,
                        " dbname=postgres user=holdfast sslmode=disable gssencmode=disable");
  }
  std::string socket_path() const { return absl::StrCat(directory_, "/.s.PGSQL.5432"); }
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }

  // Starts the server after Kill, with the same data; it takes connections on return.
  void Start() {
    pid_ = StartAsUser({absl::StrCat(kPrograms, "/postgres"), "-D", data()});
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (!IsReady()) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        // Processes of the server that was killed are not gone yet.
        pid_ = StartAsUser({absl::StrCat(kPrograms, "/postgres"), "-D", data()});
      }
      if (absl::Now() > until) Die("PostgreSQL does not start");
      absl::SleepFor(absl::Milliseconds(10));  // no event tells that it takes connections
    }
  }
  // Kills the server as a power failure would, but for what the kernel has of its files.
  void Kill() {
    if (pid_ <= 0) return;
    const std::vector<pid_t> all = Processes();
    for (const pid_t each : all) kill(each, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
    std::error_code ignored;
    std::filesystem::remove(absl::StrCat(data(), "/postmaster.pid"), ignored);
  }
  // Ends the server in order, without waiting for its clients.
  void Stop() {
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // Starts the server if it has ended by itself.
  void StartIfEnded() {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return;
    pid_ = 0;
    std::error_code ignored;
    std::filesystem::remove(absl::StrCat(data(), "/postmaster.pid"), ignored);
    Start();
  }
  // Keeps a copy of the data, and puts it back in place of the data as a standby that lacks the later commits would.
  // The server must not run.
  void Save() { Run({"cp", "-a", data(), absl::StrCat(directory_, "/saved")}, "cp"); }
  void GoBack() {
    std::filesystem::remove_all(data());
    std::filesystem::rename(absl::StrCat(directory_, "/saved"), data());
  }
  // All processes of the server stop where they are, or go on.
  void Freeze() { SignalAll(SIGSTOP); }
  void Thaw() { SignalAll(SIGCONT); }

 private:
  static constexpr char kPrograms[] = "/usr/lib/postgresql/15/bin";

  [[noreturn]] void Die(const char* what) {
    std::cerr << "tests need PostgreSQL 15: " << what << "\n" << std::ifstream(log()).rdbuf() << std::endl;
    std::exit(1);
  }
  void MakeDirectory(int64_t disk_bytes) {
    const char* const memory = "/dev/shm";
    std::string pattern = absl::StrCat(access(memory, W_OK) == 0 ? memory : "/tmp", "/holdfast-postgres-XXXXXX");
    if (mkdtemp(pattern.data()) == nullptr) Die("no scratch directory");
    directory_ = pattern;
    if (disk_bytes > 0) {
      const std::string size = absl::StrCat("size=", disk_bytes);
      if (mount("tmpfs", directory_.c_str(), "tmpfs", 0, size.c_str()) != 0) Die("a file system can't be made");
      mounted_ = true;
    }
    if (geteuid() == 0) {
      const passwd* const user = getpwnam("postgres");
      if (user == nullptr) Die("there is no user postgres: deploy/install-deps.sh --tools");
      if (chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) Die("chown");
      as_user_ = {absl::StrCat("--reuid=", user->pw_uid), absl::StrCat("--regid=", user->pw_gid), "--clear-groups"};
    }
  }
  std::string data() const { return directory_ + "/data"; }
  std::string log() const { return directory_ + "/log"; }

  // The process ends when the thread that starts it ends.
  pid_t StartAsUser(std::vector<std::string> arguments) {
    std::vector<std::string> all = {"setpriv"};
    all.insert(all.end(), as_user_.begin(), as_user_.end());
    all.push_back("--pdeathsig=KILL");
    all.insert(all.end(), arguments.begin(), arguments.end());
    return process::StartProcess({.arguments = std::move(all), .output_path = log()});
  }
  void Run(std::vector<std::string> arguments, const char* what) {
    int status = 0;
    if (waitpid(StartAsUser(std::move(arguments)), &status, 0) < 0 || status != 0) Die(what);
  }
  // The last line of the file says it.
  bool IsReady() const {
    std::ifstream file(absl::StrCat(data(), "/postmaster.pid"));
    std::string line;
    std::string pid;
    std::getline(file, pid);
    std::string last;
    while (std::getline(file, line)) last = line;
    return pid == absl::StrCat(pid_) && absl::StrContains(last, "ready");
  }
  std::vector<pid_t> Processes() const {
    std::vector<pid_t> all = {pid_};
    std::ifstream children(absl::StrCat("/proc/", pid_, "/task/", pid_, "/children"));
    pid_t child;
    while (children >> child) all.push_back(child);
    return all;
  }
  void SignalAll(int signal) {
    for (const pid_t each : Processes()) kill(each, signal);
  }

  std::string directory_;
  std::vector<std::string> as_user_;
  pid_t pid_ = 0;
  bool mounted_ = false;
};

}  // namespace holdfast::testing_server

#endif  // HOLDFAST_TESTS_SHARED_POSTGRES_SERVER_H_
