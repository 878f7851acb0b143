// Measures the cost of SQL, beside other objects and by itself. Prints figures, which README.md explains.

#include <grpcpp/client_context.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "holdfast/v1/counter_service.grpc.pb.h"
#include "holdfast/v1/object_service.grpc.pb.h"
#include "tests/integration/server_process.h"

namespace holdfast {
namespace {

constexpr int kRounds = 5;
constexpr absl::Duration kRoundTime = absl::Seconds(4);
constexpr int kThreads = 4;
constexpr double kRatePerThread = 100;
constexpr int kObjects = 100;
constexpr int kRows = 100;
constexpr int kCalls = 10'000;

void Check(const grpc::Status& status, absl::string_view what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), status.error_message().c_str());
  std::exit(1);
}

void Increment(v1::CounterService::Stub& stub, int counter) {
  grpc::ClientContext context;
  v1::IncrementRequest request;
  request.mutable_object()->set_name(absl::StrCat("counter", counter));
  v1::IncrementResponse response;
  Check(stub.Increment(&context, request, &response), "Increment");
}

void Execute(v1::ObjectService::Stub& stub, const std::string& object, const std::string& sql,
             const std::vector<int64_t>& params = {}) {
  grpc::ClientContext context;
  v1::ExecuteSqlRequest request;
  request.mutable_object()->set_name(object);
  v1::SqlStatement* const statement = request.add_statements();
  statement->set_sql(sql);
  for (const int64_t param : params) statement->add_params()->set_integer(param);
  v1::ExecuteSqlResponse response;
  Check(stub.ExecuteSql(&context, request, &response), sql);
}

std::string Query(int64_t rows) {
  return absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ", rows,
                      ") SELECT sum(i % 7) FROM n");
}

double Micros(absl::Duration time) { return absl::ToDoubleMicroseconds(time); }

double Quantile(std::vector<double>& sorted, double q) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(q * static_cast<double>(sorted.size())))];
}

void PrintQuantiles(const char* name, std::vector<double> micros) {
  std::sort(micros.begin(), micros.end());
  std::printf("%-28s %8zu calls   p50 %7.0f us   p99 %7.0f us   p99.9 %7.0f us\n", name, micros.size(),
              Quantile(micros, 0.5), Quantile(micros, 0.99), Quantile(micros, 0.999));
}

// Increments at a fixed rate; returns how late each answer was, counted from when the call was due.
std::vector<double> OpenLoop(const testing::ServerProcess& server) {
  std::vector<std::vector<double>> found(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      auto stub = v1::CounterService::NewStub(server.NewChannel());
      Increment(*stub, thread);
      const absl::Time begin = absl::Now();
      for (int i = 0; absl::Now() < begin + kRoundTime; ++i) {
        const absl::Time due = begin + absl::Seconds(i / kRatePerThread);
        absl::SleepFor(due - absl::Now());
        Increment(*stub, thread);
        found[static_cast<size_t>(thread)].push_back(Micros(absl::Now() - due));
      }
    });
  }
  std::vector<double> all;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads[static_cast<size_t>(thread)].join();
    all.insert(all.end(), found[static_cast<size_t>(thread)].begin(), found[static_cast<size_t>(thread)].end());
  }
  return all;
}

void BesideAQuery(const testing::ServerProcess& server) {
  auto stub = v1::ObjectService::NewStub(server.NewChannel());
  // A first query finds how many rows take a second.
  constexpr int64_t kTried = 1'000'000;
  const absl::Time tried = absl::Now();
  Execute(*stub, "long", Query(kTried));
  const auto rows = static_cast<int64_t>(static_cast<double>(kTried) / absl::ToDoubleSeconds(absl::Now() - tried));
  std::vector<double> without;
  std::vector<double> with;
  int queries = 0;
  absl::Duration query_time;
  for (int round = 0; round < kRounds; ++round) {
    const auto alone = OpenLoop(server);
    without.insert(without.end(), alone.begin(), alone.end());
    std::atomic<bool> end{false};
    std::thread querying([&] {
      while (!end) {
        const absl::Time begin = absl::Now();
        Execute(*stub, "long", Query(rows));
        query_time += absl::Now() - begin;
        ++queries;
      }
    });
    const auto beside = OpenLoop(server);
    with.insert(with.end(), beside.begin(), beside.end());
    end = true;
    querying.join();
  }
  std::printf("increments, %d rounds of %.0f s each way, %.0f/s\n", kRounds, absl::ToDoubleSeconds(kRoundTime),
              kThreads * kRatePerThread);
  PrintQuantiles("without a query", without);
  PrintQuantiles("beside queries", with);
  std::printf("%-28s %8d queries of %.2f s\n\n", "", queries, absl::ToDoubleSeconds(query_time / std::max(1, queries)));
}

// Returns the user and system time of a process.
double CpuMicros(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string word;
  int64_t user = 0;
  int64_t system = 0;
  for (int i = 1; i <= 13; ++i) in >> word;
  in >> user >> system;
  return static_cast<double>(user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

uint64_t LogBytes(const std::string& data_dir) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir)) {
    if (absl::EndsWith(entry.path().string(), ".log")) bytes += entry.file_size();
  }
  return bytes;
}

void Cost(const testing::ServerProcess& server, const std::string& data_dir, const char* name,
          const std::function<void(v1::CounterService::Stub&, v1::ObjectService::Stub&, int)>& call) {
  const double cpu = CpuMicros(server.pid());
  const uint64_t log = LogBytes(data_dir);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto channel = server.NewChannel();
      auto counters = v1::CounterService::NewStub(channel);
      auto objects = v1::ObjectService::NewStub(channel);
      for (int i = thread; i < kCalls; i += kThreads) call(*counters, *objects, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%-28s %8d calls   server CPU %5.0f us   write-ahead log %6.0f bytes\n", name, kCalls,
              (CpuMicros(server.pid()) - cpu) / kCalls, static_cast<double>(LogBytes(data_dir) - log) / kCalls);
}

void Costs(const testing::ServerProcess& server, const std::string& data_dir) {
  auto stub = v1::ObjectService::NewStub(server.NewChannel());
  for (int i = 0; i < kObjects; ++i) {
    const std::string object = absl::StrCat("table", i);
    Execute(*stub, object, "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, text TEXT)");
    Execute(*stub, object,
            absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ", kRows,
                         ") INSERT INTO t SELECT i, 0, 'some text that each row has' FROM n"));
  }
  const auto table = [](int i) { return absl::StrCat("table", i % kObjects); };
  const auto row = [](int i) { return int64_t{i / kObjects % kRows + 1}; };
  for (int round = 0; round < 2; ++round) {
    Cost(server, data_dir, "increment", [](auto& counters, auto&, int i) { Increment(counters, i % kObjects); });
    Cost(server, data_dir, "update of a row", [&](auto&, auto& objects, int i) {
      Execute(objects, table(i), "UPDATE t SET v = v + ?1 WHERE id = ?2", {i, row(i)});
    });
    Cost(server, data_dir, "select of a row", [&](auto&, auto& objects, int i) {
      Execute(objects, table(i), "SELECT v, text FROM t WHERE id = ?1", {row(i)});
    });
  }
}

}  // namespace
}  // namespace holdfast

int main() {
  const holdfast::testing::TemporaryDirectory directory;
  const std::string data_dir = directory.path() + "/data";
  const holdfast::testing::ServerProcess server(data_dir);
  holdfast::BesideAQuery(server);
  holdfast::Costs(server, data_dir);
}
