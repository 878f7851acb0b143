// workerd is the runtime whose durable objects are Holdfast's model. peers/workerd has the worker.

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/http_transport.h"
#include "tests/bench/peer_start.h"
#include "tests/bench/peers.h"
#include "tests/bench/walk.h"
#include "tests/shared/free_port.h"

namespace holdfast::bench {
namespace {

constexpr int kSetupOutstanding = 64;

PeerWorkload Increments(int port, const std::string& name, int64_t counters) {
  PeerWorkload workload = HttpWorkload(port, name, counters, [counters](int64_t number) {
    return PostOf(absl::StrCat("/counters/", ObjectName(Pick(number, counters)), "/increment"));
  });
  workload.count_done = [port] {
    return SumOverHttp(port, kObjects, [](int64_t i) { return absl::StrCat("/counters/", ObjectName(i)); });
  };
  return workload;
}

PeerWorkload Sql(int port, const std::string& name, HttpTransport::Make make) {
  PeerWorkload workload = HttpWorkload(port, name, kObjects, std::move(make));
  workload.prepare = [port, calls = workload.prepare] {
    HttpTransport setup(port, kSetupOutstanding, [](int64_t number) {
      return PostOf(absl::StrCat("/entries/", ObjectName(number), "/setup"),
                    absl::StrCat(R"({"rows":)", kRows, R"(,"value":"a value of twenty b."})"));
    });
    const absl::Status made = MakeCalls(&setup, kSetupOutstanding, kObjects);
    return made.ok() ? calls() : made;
  };
  return workload;
}

std::vector<PeerWorkload> Workloads(int port) {
  return {
      Increments(port, "increment", kObjects),
      Increments(port, "increment-hot", 1),
      HttpWorkload(port, "get-value", kObjects,
                   [](int64_t number) {
                     return HttpRequest{.path = absl::StrCat("/counters/", ObjectName(Pick(number, kObjects)))};
                   }),
      HttpWorkload(port, "check-limit", kObjects,
                   [](int64_t number) {
                     return PostOf(
                         absl::StrCat("/limiters/", ObjectName(Pick(number, kObjects)), "/check"),
                         absl::StrCat(R"({"key":"key-)", KeyOf(number), R"(","limit":100,"windowMs":60000})"));
                   }),
      HttpWorkload(port, "update-user", kObjects,
                   [](int64_t number) {
                     return PostOf(absl::StrCat("/users/", ObjectName(Pick(number, kObjects)), "/update"),
                                   absl::StrCat(R"({"id":"user-)", KeyOf(number),
                                                R"(","name":"A name of some twenty b.","email":"mail)", number % 100,
                                                R"(@example.com"})"));
                   }),
      HttpWorkload(port, "add-item", kBatchObjects,
                   [](int64_t number) {
                     HttpRequest request =
                         PostOf(absl::StrCat("/batches/", ObjectName(Pick(number, kBatchObjects)), "/add"),
                                "an item of some twenty b");
                     request.content_type = "text/plain";
                     return request;
                   }),
      Sql(port, "sql-update",
          [](int64_t number) {
            return PostOf(absl::StrCat("/entries/", ObjectName(Pick(number, kObjects)), "/update"),
                          absl::StrCat(R"({"id":)", KeyOf(number), R"(,"value":"a value of 20 b, )", 100 + number % 900,
                                       R"("})"));
          }),
      Sql(port, "sql-select",
          [](int64_t number) {
            return HttpRequest{.path =
                                   absl::StrCat("/entries/", ObjectName(Pick(number, kObjects)), "/", KeyOf(number))};
          }),
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<Peer>> StartWorkerd(const PeerPaths& paths, const std::string& directory) {
  const std::string program = paths.tools + "/workerd/node_modules/workerd/bin/workerd";
  if (absl::Status installed = CheckInstalled(program); !installed.ok()) return installed;
  const std::string data = directory + "/workerd";
  const std::string log = directory + "/workerd.log";
  std::filesystem::create_directories(data);

  auto peer = std::make_unique<Peer>();
  peer->name = "workerd";
  peer->port = process::FreePort();
  peer->workloads = Workloads(peer->port);
  peer->processes.push_back(StartChild(
      {program, "serve", paths.sources + "/workerd/config.capnp",
       absl::StrCat("--socket-addr=http=127.0.0.1:", peer->port), absl::StrCat("--directory-path=disk=", data)},
      log, {"DO_NOT_TRACK=1"}));
  const absl::Status ready = WaitUntilReady(*peer->processes.back(), log,
                                            [&] { return CallHttp(peer->port, {.path = "/counters/ready"}).status(); });
  if (!ready.ok()) return ready;
  return peer;
}

}  // namespace holdfast::bench
