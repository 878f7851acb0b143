#include "tests/bench/scale/server.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/child.h"
#include "tests/unit/storage/raw_rocksdb.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kSampleEvery = absl::Milliseconds(100);
constexpr absl::Duration kQuietFor = absl::Seconds(1);
constexpr double kQuietCpu = 0.05;
constexpr absl::Duration kQuietMax = absl::Minutes(2);

// The set is used at the exit, so that it is never destroyed.
std::set<Server*>& Servers() {
  static auto* const servers = new std::set<Server*>;
  return *servers;
}

}  // namespace

Server::Server(std::string config) : config_(std::move(config)) {
  static const int registered = std::atexit(EndAll);
  (void)registered;
  Servers().insert(this);
}

Server::~Server() { Servers().erase(this); }

void Server::EndAll() {
  for (Server* const server : Servers()) {
    server->process_.reset();
    server->directory_.reset();
  }
}

absl::Duration Server::Start() {
  const absl::Time begin = absl::Now();
  process_ = std::make_unique<testing::ServerProcess>(data_dir_, config_);
  return absl::Now() - begin;
}

absl::Duration Server::Stop() {
  const absl::Time begin = absl::Now();
  process_->Terminate();
  process_.reset();
  return absl::Now() - begin;
}

void Server::Kill() {
  process_->Kill();
  process_.reset();
}

DirectorySize Server::Size() const {
  DirectorySize size;
  std::error_code error;
  for (std::filesystem::directory_iterator file(data_dir_, error), end; file != end && !error; file.increment(error)) {
    std::error_code gone;  // the file was removed meanwhile
    const auto bytes = static_cast<int64_t>(file->file_size(gone));
    if (gone) continue;
    ++size.files;
    size.bytes += bytes;
    if (absl::EndsWith(file->path().string(), ".log")) size.wal_bytes += bytes;
    if (absl::EndsWith(file->path().string(), ".sst")) size.table_bytes += bytes;
  }
  return size;
}

double Server::ResidentMb() const { return ResidentMbOf(pid()); }

int64_t Server::DiskCount(const std::string& field) const {
  std::ifstream in(absl::StrCat("/proc/", pid(), "/io"));
  std::string name;
  for (int64_t value; in >> name >> value;) {
    if (name == field) return value;
  }
  return 0;
}
int64_t Server::DiskBytesWritten() const { return DiskCount("write_bytes:"); }
int64_t Server::DiskBytesRead() const { return DiskCount("read_bytes:"); }

void Server::WaitUntilQuiet() const {
  const absl::Time until = absl::Now() + kQuietMax;
  absl::Duration cpu = CpuTimeOf(pid());
  while (absl::Now() < until) {
    absl::SleepFor(kQuietFor);
    const absl::Duration cpu_now = CpuTimeOf(pid());
    if (cpu_now - cpu < kQuietFor * kQuietCpu) return;
    cpu = cpu_now;
  }
}

void Server::Flush(bool compact) const {
  storage::RawFlush(data_dir_);
  if (!compact) return;
  storage::RawRocksDb db(data_dir_);
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  for (const auto& [name, family] : db.families()) (void)db->CompactRange(options, family, nullptr, nullptr);
}

void Server::DropPageCache() const {
  for (const auto& file : std::filesystem::directory_iterator(data_dir_)) {
    const int fd = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)fdatasync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

MemorySampler::MemorySampler(const Server& server)
    : thread_([this, &server] {
        while (!end_) {
          max_mb_ = std::max(max_mb_.load(), server.ResidentMb());
          absl::SleepFor(kSampleEvery);
        }
      }) {}

MemorySampler::~MemorySampler() {
  end_ = true;
  thread_.join();
}

}  // namespace holdfast::bench
