// A cluster of a test: a database, which is one PostgreSQL unless the test has another one, and several holdfastd on
// it, each with a data directory, a name and a port of its own. Between a node and each server of the database, and
// between a node and the others that call it, is a proxy, so that a test can cut them off.
//
// The nodes have names n0, n1 and so on. With one node there is no `cluster` in its configuration.
//
// Threading: the thread that has made the cluster, but for NewChannel.

#ifndef HOLDFAST_TESTS_CLUSTER_CLUSTER_H_
#define HOLDFAST_TESTS_CLUSTER_CLUSTER_H_

#include <grpcpp/channel.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "storage/store/object_id.h"
#include "tests/cluster/database.h"
#include "tests/cluster/proxy.h"
#include "tests/integration/server_process.h"
#include "tests/shared/postgres_server.h"

namespace holdfast::testing {

struct ClusterOptions {
  int nodes = 3;
  // Longer than a busy machine keeps a process from its work.
  absl::Duration lease = absl::Seconds(2);
  // Further settings of each node, and further ones of its `postgres.cluster`.
  std::string config = "";
  std::string cluster_config = "";
  testing_server::PostgresOptions database = {};
  // Outlives the cluster; null: a PostgreSQL of the cluster's own.
  Database* other_database = nullptr;
  // Further databases of the cluster, each a PostgreSQL of its own, which the nodes reach without proxies.
  int more_databases = 0;
};

class Cluster {
 public:
  // Makes the tables and starts all nodes.
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  int size() const { return static_cast<int>(nodes_.size()); }
  const ClusterOptions& options() const { return options_; }
  // The cluster's own database.
  testing_server::PostgresServer& database() { return own_database_->server; }
  // One of the further ones, from 0.
  testing_server::PostgresServer& more_database(int number) { return *more_databases_[Index(number)]; }

  // Starts a node that does not run. It serves on return.
  void Start(int node);
  // Starts a node that does not run and is to refuse to; returns how it ended.
  ServerProcess::Exit StartInVain(int node);
  bool runs(int node) const { return nodes_[Index(node)].process != nullptr; }
  // SIGKILL.
  void Kill(int node);
  // SIGSTOP and SIGCONT.
  void Freeze(int node) { nodes_[Index(node)].process->Signal(SIGSTOP); }
  void Thaw(int node) { nodes_[Index(node)].process->Signal(SIGCONT); }
  // SIGTERM. Returns the exit status.
  int Terminate(int node);
  // The same without waiting: see Wait.
  void BeginToTerminate(int node) { nodes_[Index(node)].process->Signal(SIGTERM); }
  // Returns the exit status of a node that ends by itself, or nothing if it still runs after this time.
  std::optional<int> Wait(int node, absl::Duration timeout);
  // The log of the node's current process, or its last one.
  std::string Log(int node) const;
  // The program that the node runs from its next start on, in place of holdfastd.
  void SetProgram(int node, const std::string& path) { nodes_[Index(node)].program.path = path; }

  // The way from the node to a server of the database, and the way of other nodes to this one.
  Proxy& to_database(int node, int server = 0) { return *nodes_[Index(node)].to_database[Index(server)]; }
  Proxy& from_peers(int node) { return *nodes_[Index(node)].from_peers; }

  // Returns a new channel to a node, which finds its later processes too.
  std::shared_ptr<grpc::Channel> NewChannel(int node) const;
  // For each node the number of shards that the databases say are its own.
  std::vector<int> ShardsOfNodes();
  // Returns the node that owns the object's shard by the database.
  std::optional<int> OwnerOf(const storage::ObjectKey& object);
  // Waits until every shard is a node's that runs, and every node that runs has some. Returns false after `timeout`.
  bool WaitUntilShared(absl::Duration timeout);
  // Runs one statement that returns text, or nothing; for tests that look at the tables or disturb them. With several
  // databases: in this one, from 0.
  std::vector<std::vector<std::string>> Query(const std::string& sql, int database = 0);

 private:
  // One PostgreSQL.
  struct OneServer final : Database {
    explicit OneServer(const testing_server::PostgresOptions& options) : server(options) {}
    std::string conninfo() const override { return server.conninfo(); }
    std::vector<std::unique_ptr<Proxy>> NewProxies() const override;
    std::string ConninfoAt(const std::vector<int>& ports) const override;

    testing_server::PostgresServer server;
  };
  struct Node {
    ServerProgram program;
    std::vector<std::unique_ptr<Proxy>> to_database;  // one for each of its servers
    std::unique_ptr<Proxy> from_peers;
    std::unique_ptr<ServerProcess> process;  // null: does not run
    int lives = 0;
    std::string last_log;
  };

  static size_t Index(int node) { return static_cast<size_t>(node); }
  std::string Config(int node) const;
  // The node's process is no more.
  void Ended(Node* node);
  std::string Conninfo(int node) const;
  int databases() const { return 1 + static_cast<int>(more_databases_.size()); }

  const ClusterOptions options_;
  TemporaryDirectory directory_;
  std::unique_ptr<OneServer> own_database_;
  Database* const database_;
  std::vector<std::unique_ptr<testing_server::PostgresServer>> more_databases_;
  std::vector<Node> nodes_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_CLUSTER_H_
