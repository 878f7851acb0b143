// Measures the latency of the first answer of an object that is packed on disk and not in memory, beside the time that
// the disk takes for a read, and beside the same request once the object is in memory.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "tests/bench/scale/calls.h"
#include "tests/bench/scale/parts.h"
#include "tests/bench/scale/server.h"

namespace holdfast::bench {
namespace {

constexpr const char* kConfig = "actors { idle_timeout_ms: 86400000 } storage { column_families_max: 0 }";
constexpr double kOverReadMs = 1;
constexpr int kRounds = 10;
constexpr int kCallsOfRound = 300;
constexpr size_t kBlockBytes = 4096;
constexpr int64_t kFileBytes = 256 << 20;

// Reads random places of a file and bypasses all caches of the operating system.
class ColdReads {
 public:
  explicit ColdReads(const std::string& path) : buffer_(static_cast<char*>(std::aligned_alloc(kBlockBytes, kChunk))) {
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    for (size_t i = 0; i < kChunk; ++i) buffer_.get()[i] = static_cast<char>(random_());
    for (int64_t at = 0; at < kFileBytes; at += kChunk) {
      if (pwrite(fd_, buffer_.get(), kChunk, at) != static_cast<ssize_t>(kChunk)) Fail();
    }
    if (fdatasync(fd_) != 0) Fail();
  }
  ~ColdReads() { close(fd_); }

  void Run(int count, std::vector<float>* micros) {
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<off_t>(random_() % (kFileBytes / kBlockBytes) * kBlockBytes);
      const absl::Time begin = absl::Now();
      if (pread(fd_, buffer_.get(), kBlockBytes, at) != static_cast<ssize_t>(kBlockBytes)) Fail();
      micros->push_back(static_cast<float>(absl::ToDoubleMicroseconds(absl::Now() - begin)));
    }
  }

 private:
  static constexpr size_t kChunk = 1 << 20;
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  [[noreturn]] static void Fail() {
    std::perror("direct reads");
    std::exit(1);
  }

  std::mt19937_64 random_{3};
  std::unique_ptr<char, Free> buffer_;
  int fd_;
};

class Latencies final : public Sink {
 public:
  // Makes one request after the other.
  void Run(Transport* transport, const std::vector<int64_t>& numbers) {
    for (const int64_t number : numbers) {
      ended_ = false;
      const absl::Time begin = absl::Now();
      transport->Begin(0, number);
      while (!ended_) transport->Poll(begin + absl::Minutes(1), this);
      micros.push_back(static_cast<float>(absl::ToDoubleMicroseconds(absl::Now() - begin)));
    }
  }
  void Ended(int, bool ok) override {
    ended_ = true;
    if (ok) return;
    std::fprintf(stderr, "a request failed\n");
    std::exit(1);
  }

  std::vector<float> micros;

 private:
  bool ended_ = false;
};

}  // namespace

void RunActivation(const ScaleOptions& options, Report* report) {
  const int64_t objects = std::clamp<int64_t>(options.objects / 2, 2 * kRounds * kCallsOfRound, 500'000);
  report->Begin("activation", absl::StrCat(objects, " packed counters in table files, the page cache dropped; ",
                                           kRounds * kCallsOfRound, " of them are read, one at a time"));
  Server server(kConfig);
  server.Start();
  {
    const Line line{server.address()};
    const auto calls = Changes(Kind::kCounter, line, {.object = [](int64_t number) { return number; }});
    MustRunCalls("Increment", calls.get(), line.slots, objects);
  }
  server.Stop();
  server.Flush(true);
  server.DropPageCache();
  server.Start();

  std::vector<int64_t> order(static_cast<size_t>(objects));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(4));
  const auto calls = Calls<v1::CounterService>(
      {server.address(), 1, 1}, &v1::CounterService::Stub::PrepareAsyncGetValue,
      [](int64_t number, v1::GetValueRequest* request) {
        request->mutable_object()->set_name(ObjectName(Kind::kCounter, number));
      },
      [](const v1::GetValueResponse& response) { return response.value() == 1; });
  ColdReads reads(absl::StrCat(server.data_dir(), ".reads"));

  // The first requests also read indexes and filters and connect the channel, so that they only warm up.
  size_t next = 100;
  Latencies warm_up;
  warm_up.Run(calls.get(), {order.begin(), order.begin() + 100});
  std::vector<float> read_micros;
  Latencies loading;
  Latencies loaded;
  int64_t read_bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<int64_t> numbers(order.begin() + static_cast<std::ptrdiff_t>(next),
                                       order.begin() + static_cast<std::ptrdiff_t>(next) + kCallsOfRound);
    next += kCallsOfRound;
    server.DropPageCache();
    reads.Run(kCallsOfRound, &read_micros);
    const int64_t read_before = server.DiskBytesRead();
    loading.Run(calls.get(), numbers);
    read_bytes += server.DiskBytesRead() - read_before;
    loaded.Run(calls.get(), numbers);
  }
  const double read_p50 = Quantile(&read_micros, 0.5) / 1e3;
  const double read_p99 = Quantile(&read_micros, 0.99) / 1e3;
  report->Add("a random read of 4 KiB from the disk, p50", read_p50, "ms");
  report->Add("a random read of 4 KiB from the disk, p99", read_p99, "ms");
  report->Add("request to an object in memory, p50", Quantile(&loaded.micros, 0.5) / 1e3, "ms");
  report->Add("request to an object in memory, p99", Quantile(&loaded.micros, 0.99) / 1e3, "ms");
  report->Add("request to an object on disk, p50", Quantile(&loading.micros, 0.5) / 1e3, "ms");
  report->Add("request to an object on disk, p99, of 1 ms and a read's p99", Quantile(&loading.micros, 0.99) / 1e3,
              "ms", AtMost(kOverReadMs + read_p99));
  report->Note(absl::StrFormat("the server read %.2f blocks of 4 KiB for each",
                               static_cast<double>(read_bytes) / kBlockBytes / kRounds / kCallsOfRound));
}

}  // namespace holdfast::bench
