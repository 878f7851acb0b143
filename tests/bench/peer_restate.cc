// Restate runs as its server and the service that it calls, peers/restate/service.mjs, on Node.

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

std::string ValuePath(int64_t counter) { return absl::StrCat("/Counter/", ObjectName(counter), "/getValue"); }

PeerWorkload Increments(int port, const std::string& name, int64_t counters) {
  PeerWorkload workload = HttpWorkload(port, name, counters, [counters](int64_t number) {
    return PostOf(absl::StrCat("/Counter/", ObjectName(Pick(number, counters)), "/increment"));
  });
  workload.count_done = [port] { return SumOverHttp(port, kObjects, ValuePath); };
  return workload;
}

std::vector<PeerWorkload> Workloads(int port) {
  return {
      Increments(port, "increment", kObjects),
      Increments(port, "increment-hot", 1),
      HttpWorkload(port, "get-value", kObjects,
                   [](int64_t number) { return HttpRequest{.path = ValuePath(Pick(number, kObjects))}; }),
      HttpWorkload(port, "check-limit", kObjects,
                   [](int64_t number) {
                     return PostOf(
                         absl::StrCat("/Limiter/", ObjectName(Pick(number, kObjects)), "/check"),
                         absl::StrCat(R"({"key":"key-)", KeyOf(number), R"(","limit":100,"windowMs":60000})"));
                   }),
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<Peer>> StartRestate(const PeerPaths& paths, const std::string& directory) {
  const absl::StatusOr<std::string> node = FindProgram("node");
  if (!node.ok()) return node.status();
  const std::string program = paths.tools + "/restate/restate-server";
  if (absl::Status installed = CheckInstalled(program); !installed.ok()) return installed;
  const std::string data = directory + "/restate";
  const std::string server_log = directory + "/restate.log";
  const std::string service_log = directory + "/restate-service.log";
  std::filesystem::create_directories(data);

  auto peer = std::make_unique<Peer>();
  peer->name = "restate";
  peer->port = process::FreePort();
  peer->workloads = Workloads(peer->port);
  const int admin_port = process::FreePort();
  peer->processes.push_back(StartChild(
      {program, "--no-logo", "--base-dir", data}, server_log,
      {"RESTATE_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=1", "RESTATE_LISTEN_MODE=tcp", "RESTATE_BIND_IP=127.0.0.1",
       absl::StrCat("RESTATE_BIND_PORT=", process::FreePort()), absl::StrCat("RESTATE_INGRESS__BIND_PORT=", peer->port),
       absl::StrCat("RESTATE_ADMIN__BIND_PORT=", admin_port), "RESTATE_ADMIN__DISABLE_WEB_UI=true",
       "RESTATE_LOG_FILTER=warn", "RESTATE_SHUTDOWN_TIMEOUT=5s"}));
  const Child& server = *peer->processes.back();
  const int service_port = process::FreePort();
  peer->processes.push_back(StartChild({*node, paths.sources + "/restate/service.mjs", absl::StrCat(service_port),
                                        std::filesystem::absolute(paths.tools + "/restate/node_modules").string()},
                                       service_log, {"NODE_ENV=production"}));
  const Child& service = *peer->processes.back();

  absl::Status ready =
      WaitUntilReady(server, server_log, [&] { return CallHttp(admin_port, {.path = "/health"}).status(); });
  // Restate asks the service for its handlers when it is registered, so that this also shows whether the service runs.
  if (ready.ok()) {
    const HttpRequest registration =
        PostOf("/deployments", absl::StrCat(R"({"uri":"http://127.0.0.1:)", service_port, R"("})"));
    ready = WaitUntilReady(service, service_log, [&] { return CallHttp(admin_port, registration).status(); });
  }
  if (ready.ok()) {
    ready = WaitUntilReady(server, server_log, [&] { return CallHttp(peer->port, {.path = ValuePath(0)}).status(); });
  }
  if (!ready.ok()) return ready;
  return peer;
}

}  // namespace holdfast::bench
