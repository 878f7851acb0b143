#include "tests/cluster/cluster.h"

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "storage/postgres/connection.h"
#include "tests/shared/free_port.h"

namespace holdfast::testing {
namespace {

namespace postgres = storage::postgres;

constexpr absl::Duration kStep = absl::Milliseconds(10);
constexpr auto kQueryMax = std::chrono::seconds(10);
// A channel tries again soon, since the test wants to see when the node is back.
constexpr int kReconnectMs = 50;
constexpr int kConnectMs = 1000;  // the most that one attempt takes

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  chmod(path.c_str(), S_IRUSR | S_IWUSR);
}

}  // namespace

std::vector<std::unique_ptr<Proxy>> Cluster::OneServer::NewProxies() const {
  std::vector<std::unique_ptr<Proxy>> proxies;
  proxies.push_back(std::make_unique<Proxy>(server.socket_path()));
  return proxies;
}

std::string Cluster::OneServer::ConninfoAt(const std::vector<int>& ports) const {
  return server.conninfo_at("127.0.0.1", ports.front());
}

Cluster::Cluster(const ClusterOptions& options)
    : options_(options),
      own_database_(options.other_database == nullptr ? std::make_unique<OneServer>(options.database) : nullptr),
      database_(options.other_database == nullptr ? own_database_.get() : options.other_database) {
  // A channel connects while some thread waits in gRPC. Calls to a node that is down fail at once, so without this a
  // client that pauses between its tries would find a node that is back only seconds later.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "20", 0);
  for (int i = 0; i < options.more_databases; ++i) {
    more_databases_.push_back(std::make_unique<testing_server::PostgresServer>(options.database));
  }
  WriteFile(absl::StrCat(directory_.path(), "/secret"), "the-secret-of-the-nodes-of-this-test");
  for (int i = 0; i < options.nodes; ++i) {
    Node& node = nodes_.emplace_back();
    const int port = process::FreePort();
    node.program = Holdfastd();
    node.program.listen = absl::StrCat("127.0.0.1:", port);
    node.to_database = database_->NewProxies();
    node.from_peers = std::make_unique<Proxy>(port);
  }
  const std::string config = absl::StrCat(directory_.path(), "/init");
  WriteFile(config, Config(0));
  const auto made = ServerProcess::RunToEnd({"--config", config, "--init-cluster"});
  EXPECT_EQ(made.status, 0) << made.output;
  for (int i = 0; i < options.nodes; ++i) Start(i);
}

Cluster::~Cluster() {
  // A process that is stopped can't be ended by anything else.
  for (Node& node : nodes_) {
    if (node.process != nullptr) node.process->Kill();
  }
}

std::string Cluster::Conninfo(int node) const {
  std::vector<int> ports;
  for (const auto& proxy : nodes_[Index(node)].to_database) ports.push_back(proxy->port());
  return database_->ConninfoAt(ports);
}

std::string Cluster::Config(int node) const {
  const std::string cluster =
      options_.nodes == 1
          ? ""
          : absl::StrCat(" cluster { address: \"127.0.0.1:", nodes_[Index(node)].from_peers->port(),
                         "\" secret_file: \"", directory_.path(), "/secret\" ", options_.cluster_config, " }");
  std::vector<std::string> conninfos = {Conninfo(node)};
  for (const auto& database : more_databases_) conninfos.push_back(database->conninfo());
  std::string all;
  for (const std::string& conninfo : conninfos) {
    absl::StrAppend(&all, " database { conninfo: \"", absl::StrReplaceAll(conninfo, {{"\"", "\\\""}}), "\" } ");
  }
  return absl::StrCat("log_format: TEXT ", options_.config, " postgres { node: \"n", node,
                      "\" lease_ms: ", absl::ToInt64Milliseconds(options_.lease), all, cluster, " }\n");
}

void Cluster::Start(int node) {
  Node& started = nodes_[Index(node)];
  started.process = std::make_unique<ServerProcess>(absl::StrCat(directory_.path(), "/n", node), Config(node),
                                                    absl::StrCat("-", ++started.lives), started.program);
}

ServerProcess::Exit Cluster::StartInVain(int node) {
  const std::string config = absl::StrCat(directory_.path(), "/in-vain");
  WriteFile(config, Config(node));
  const ServerProgram& program = nodes_[Index(node)].program;
  return ServerProcess::RunToEnd(
      {"--config", config, "--listen", program.listen, "--data-dir", absl::StrCat(directory_.path(), "/n", node)},
      program);
}

void Cluster::Ended(Node* node) {
  node->last_log = node->process->Log();
  node->process = nullptr;
}

void Cluster::Kill(int node) {
  Node& killed = nodes_[Index(node)];
  if (killed.process == nullptr) return;
  killed.process->Kill();
  Ended(&killed);
}

int Cluster::Terminate(int node) {
  const int status = nodes_[Index(node)].process->Terminate();
  Ended(&nodes_[Index(node)]);
  return status;
}

std::optional<int> Cluster::Wait(int node, absl::Duration timeout) {
  Node& ending = nodes_[Index(node)];
  const absl::Time until = absl::Now() + timeout;
  while (true) {
    if (const std::optional<int> status = ending.process->Ended()) {
      Ended(&ending);
      return status;
    }
    if (absl::Now() > until) return std::nullopt;
    absl::SleepFor(kStep);  // no event with a timeout tells that a process has ended
  }
}

std::string Cluster::Log(int node) const {
  const Node& logged = nodes_[Index(node)];
  return logged.process == nullptr ? logged.last_log : logged.process->Log();
}

std::shared_ptr<grpc::Channel> Cluster::NewChannel(int node) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  return grpc::CreateCustomChannel(nodes_[Index(node)].program.listen, grpc::InsecureChannelCredentials(), arguments);
}

std::vector<std::vector<std::string>> Cluster::Query(const std::string& sql, int database) {
  std::vector<std::vector<std::string>> found;
  auto connection = postgres::Connection::Open(database == 0 ? database_->conninfo()
                                                             : more_databases_[Index(database - 1)]->conninfo());
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) return found;
  (*connection)->Add({"query", sql});
  const postgres::TripResult result = (*connection)->Run(std::chrono::steady_clock::now() + kQueryMax);
  EXPECT_TRUE(result.ok()) << result.message;
  if (!result.ok()) return found;
  const postgres::Rows& rows = result.rows.back();
  for (int row = 0; row < rows.count(); ++row) {
    std::vector<std::string>& columns = found.emplace_back();
    for (int column = 0; column < rows.columns(); ++column) {
      columns.push_back(rows.IsNull(row, column) ? "" : std::string(rows.Bytes(row, column)));
    }
  }
  return found;
}

std::vector<int> Cluster::ShardsOfNodes() {
  std::vector<int> shards(nodes_.size(), 0);
  for (int database = 0; database < databases(); ++database) {
    for (const auto& row : Query("SELECT w.node, count(*)::text FROM hf_shard s JOIN hf_writer w ON w.id = s.writer"
                                 " WHERE w.owner IS NOT NULL GROUP BY w.node",
                                 database)) {
      int node = 0;
      int count = 0;
      if (absl::SimpleAtoi(absl::string_view(row[0]).substr(1), &node) && absl::SimpleAtoi(row[1], &count) &&
          node < size()) {
        shards[Index(node)] += count;
      }
    }
  }
  return shards;
}

std::optional<int> Cluster::OwnerOf(const storage::ObjectKey& object) {
  const int shard = static_cast<int>(object.shard());
  const auto rows =
      Query(absl::StrCat("SELECT w.node FROM hf_shard s JOIN hf_writer w ON w.id = s.writer WHERE s.id = ", shard),
            shard % databases());
  int node = 0;
  if (rows.empty() || !absl::SimpleAtoi(absl::string_view(rows[0][0]).substr(1), &node)) return std::nullopt;
  return node;
}

bool Cluster::WaitUntilShared(absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  while (true) {
    const std::vector<int> shards = ShardsOfNodes();
    int sum = 0;
    bool all = true;
    for (int node = 0; node < size(); ++node) {
      if (!runs(node)) continue;
      sum += shards[Index(node)];
      if (shards[Index(node)] == 0) all = false;
    }
    if (all && sum == static_cast<int>(storage::kShardCount)) return true;
    if (absl::Now() > until) return false;
    absl::SleepFor(5 * kStep);  // the table does not tell when it changes
  }
}

}  // namespace holdfast::testing
