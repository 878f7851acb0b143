// Measures the cost of the records of requests with a request_id in memory, disk space and time. The benchmark makes
// changes with an id at a fixed rate, first for as long as records live, and then for a while more, in which as many
// records expire as are made.
//
//   records_bench DIRECTORY RATE [AGE_SECONDS]
//
// The node runs over a real RocksDB with the server's default settings, in one thread, with a clock that advances by
// the time that the requests would take at that rate. Commits are not synced: the disk is not measured.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "actors/object.h"
#include "actors/runtime/delivery.h"
#include "actors/runtime/recorded_request.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/simulation/node.h"
#include "tests/simulation/recording_store.h"

namespace holdfast::bench {
namespace {

constexpr int kObjects = 10'000;
// The number of requests in one commit; group commit makes such commits from the requests of many clients.
constexpr int kGroup = 100;

class Silent : public actors::Object {
 public:
  using Object::Object;
  static const actors::ObjectClass& Class() {
    static const auto* const object_class = new actors::ObjectClass{.name = "Counter", .make = actors::Make<Silent>};
    return *object_class;
  }
};

// A change with the sizes of an increment: a UUID, the hash of the request, a number.
class Change final : public actors::Delivery, public actors::RecordedRequest {
 public:
  Change(int object, std::string id)
      : key("default", "Counter", absl::StrCat("user-counter-", absl::Dec(object, absl::kZeroPad6))),
        id_(std::move(id)),
        hash_(absl::StrCat(absl::HexStringToBytes(id_.substr(0, 8)), absl::HexStringToBytes(id_.substr(24)), "hash")) {}

  actors::Task<absl::Status> Run(actors::Object&) override { co_return absl::OkStatus(); }
  actors::RecordedRequest* recorded() override { return this; }
  void Done(const absl::Status& status) override {
    done = true;
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::exit(1);
    }
  }
  absl::string_view request_id() const override { return id_; }
  absl::string_view method() const override { return "holdfast.v1.CounterService.Increment"; }
  std::string Hash() const override { return hash_; }
  std::string SerializeReply() const override { return std::string("\x08\xb9\x60", 3); }
  bool ParseReply(absl::string_view) override { return true; }

  const storage::ObjectKey key;
  bool done = false;

 private:
  const std::string id_;
  const std::string hash_;
};

std::string Uuid(std::mt19937_64* random) {
  std::string hex = absl::StrCat(absl::Hex((*random)(), absl::kZeroPad16), absl::Hex((*random)(), absl::kZeroPad16));
  for (size_t at : {20, 16, 12, 8}) hex.insert(at, "-");
  return hex;
}

int64_t ResidentMiB() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE) >> 20;
}

int64_t DiskMiB(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    const uint64_t size = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    if (!error) bytes += size;
  }
  return static_cast<int64_t>(bytes >> 20);
}

class Bench {
 public:
  Bench(const std::string& directory, int64_t rate, absl::Duration age)
      : directory_(directory), rate_(rate), age_(age) {
    auto store = storage::OpenRocksDbStore({.data_dir = directory, .sync = false});
    if (!store.ok()) {
      std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
      std::exit(1);
    }
    store_ = *std::move(store);
    recording_ = std::make_unique<simulation::RecordingStore>(store_.get());
    Start();
  }

  void Start() {
    node_.reset();
    actors::HostOptions options;
    options.records.age = age_;
    options.records.bytes_max = int64_t{1} << 40;
    options.records.namespace_bytes_max = int64_t{1} << 40;
    node_ = std::make_unique<simulation::Node>(recording_.get(), &clock_,
                                               std::vector<const actors::ObjectClass*>{&Silent::Class()}, options);
  }

  // Makes the changes of this many seconds, and prints their cost.
  void Load(int64_t seconds, const char* what) {
    const absl::Time began = absl::Now();
    const int64_t requests = seconds * rate_;
    int64_t most_memory = 0;
    int64_t most_disk = 0;
    int64_t longest_us = 0;
    const int looks_before = recording_->gets[storage::FamilyId::kRequests];
    for (int64_t sent = 0; sent < requests; sent += kGroup) {
      std::vector<std::unique_ptr<Change>> changes;
      for (int i = 0; i < kGroup; ++i) {
        changes.push_back(std::make_unique<Change>(static_cast<int>(random_() % kObjects), Uuid(&random_)));
        node_->Deliver(changes.back()->key, Silent::Class(), changes.back().get());
      }
      while (!std::all_of(changes.begin(), changes.end(), [](const auto& change) { return change->done; })) {
        Step(&longest_us);
      }
      clock_.Advance(absl::Seconds(kGroup) / rate_);
      if (sent % (rate_ * 10) == 0) {
        most_memory = std::max(most_memory, ResidentMiB());
        most_disk = std::max(most_disk, DiskMiB(directory_));
      }
    }
    const double took = absl::ToDoubleSeconds(absl::Now() - began);
    const double looks = recording_->gets[storage::FamilyId::kRequests] - looks_before;
    std::printf(
        "%s: %lld requests in %.0f s (%.0f/s); resident at most %lld MiB, on disk at most %lld MiB; %.2f %% of new ids "
        "were looked for on the disk; the longest round of the executor took %.1f ms\n",
        what, static_cast<long long>(requests), took, static_cast<double>(requests) / took,
        static_cast<long long>(most_memory), static_cast<long long>(most_disk),
        (looks / static_cast<double>(requests) - 1) * 100, static_cast<double>(longest_us) / 1000);
    std::fflush(stdout);
  }

  // Measures, without load, how fast records that are too old are removed.
  void Expire() {
    const absl::Time began = absl::Now();
    clock_.Advance(age_ + absl::Seconds(1));
    int64_t longest_us = 0;
    size_t before = recording_->points[storage::FamilyId::kRequests];
    while (Step(&longest_us)) {
    }
    const auto removed = static_cast<double>((recording_->points[storage::FamilyId::kRequests] - before) / 2);
    const double took = absl::ToDoubleSeconds(absl::Now() - began);
    std::printf("the sweep: %.0f records in %.1f s (%.0f/s); the longest round took %.1f ms; resident %lld MiB\n",
                removed, took, removed / took, static_cast<double>(longest_us) / 1000,
                static_cast<long long>(ResidentMiB()));
  }

  void Restart() {
    const absl::Time began = absl::Now();
    Start();
    int64_t longest_us = 0;
    int steps = 0;
    while (Step(&longest_us)) ++steps;
    std::printf("counted at a start: in %.1f s, %d steps; the longest round took %.1f ms\n",
                absl::ToDoubleSeconds(absl::Now() - began), steps, static_cast<double>(longest_us) / 1000);
    std::fflush(stdout);
  }

 private:
  // Runs the executor's work, then one piece of work in the background, whose end runs on the executor again. Raises
  // `*longest_us` to the longest time for which the executor was busy. Returns false if nothing ran in the background.
  bool Step(int64_t* longest_us) {
    const auto timed = [longest_us](auto run) {
      const absl::Time began = absl::Now();
      run();
      *longest_us = std::max(*longest_us, absl::ToInt64Microseconds(absl::Now() - began));
    };
    timed([this] {
      node_->executor().RunUntilIdle();
      node_->executor().EndRound();
    });
    for (simulation::ManualBackground* background : {&node_->reads(), &node_->commits()}) {
      if (!background->RunWork()) continue;
      timed([background] { background->RunDone(); });
      return true;
    }
    return false;
  }

  const std::string directory_;
  const int64_t rate_;
  const absl::Duration age_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<simulation::RecordingStore> recording_;
  simulation::VirtualClock clock_;
  std::unique_ptr<simulation::Node> node_;
  std::mt19937_64 random_{1};
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  int64_t rate = 0;
  int64_t age_s = 600;
  if (argc < 3 || !absl::SimpleAtoi(argv[2], &rate) || (argc > 3 && !absl::SimpleAtoi(argv[3], &age_s))) {
    std::fprintf(stderr, "records_bench DIRECTORY RATE [AGE_SECONDS]\n");
    return 2;
  }
  holdfast::bench::Bench bench(argv[1], rate, absl::Seconds(age_s));
  bench.Load(age_s, "until the first expire");
  bench.Load(std::max<int64_t>(1, age_s / 4), "while as many expire");
  bench.Restart();
  bench.Expire();
  return 0;
}
