// The server under measurement with its data directory, and the operating system's figures for both.

#ifndef HOLDFAST_TESTS_BENCH_SCALE_SERVER_H_
#define HOLDFAST_TESTS_BENCH_SCALE_SERVER_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "tests/integration/server_process.h"

namespace holdfast::bench {

struct DirectorySize {
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t wal_bytes = 0;
  int64_t table_bytes = 0;
};

// A data directory of its own, which is removed at the end, and a server on it, which the caller starts and stops. Both
// are also ended and removed where the program exits early.
class Server {
 public:
  explicit Server(std::string config = "");
  ~Server();
  Server(const Server&) = delete;

  // Starts the server and waits until it serves; returns how long that took.
  absl::Duration Start();
  // Sends SIGTERM; returns how long the server took to end.
  absl::Duration Stop();
  void Kill();

  const std::string& address() const { return process_->address(); }
  pid_t pid() const { return process_->pid(); }
  const std::string& data_dir() const { return data_dir_; }
  DirectorySize Size() const;
  double ResidentMb() const;
  // Bytes that reached the disk, or came from it.
  int64_t DiskBytesWritten() const;
  int64_t DiskBytesRead() const;
  // Waits until the server has little to do, for a bounded time.
  void WaitUntilQuiet() const;

  // --- Call these while the server is stopped.
  // Moves everything to tables; with `compact`, also removes everything that is outdated.
  void Flush(bool compact) const;
  // Drops the directory's pages from the operating system's cache.
  void DropPageCache() const;

 private:
  static void EndAll();
  int64_t DiskCount(const std::string& field) const;

  const std::string config_;
  std::unique_ptr<testing::TemporaryDirectory> directory_ = std::make_unique<testing::TemporaryDirectory>();
  const std::string data_dir_ = directory_->path() + "/data";
  std::unique_ptr<testing::ServerProcess> process_;
};

// Samples a process's resident memory ten times a second until it is destroyed.
class MemorySampler {
 public:
  explicit MemorySampler(const Server& server);
  ~MemorySampler();
  double max_mb() const { return max_mb_; }

 private:
  std::atomic<bool> end_{false};
  std::atomic<double> max_mb_{0};
  std::thread thread_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_SCALE_SERVER_H_
