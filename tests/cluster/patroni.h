// A replicated database of a test: three machines, each with Patroni and Debian's PostgreSQL 15, and one etcd. Patroni
// chooses the primary and promotes a standby when the primary is gone. The settings are those that docs/cluster.md asks
// for, with times of Patroni that are short, so that a fail-over takes seconds.
//
// The ways of a machine that a test can cut are proxies: from it to etcd, to its PostgreSQL from the standbys, and to
// its Patroni from the others. A machine that no longer is the primary is told by etcd alone who is, so with these, and
// those of the nodes, a machine is cut off from everything.
//
// Directory: in memory where that is possible, as with PostgresServer; a sync costs little there, and is made.
//
// Threading: the thread that has made it, but for the const methods. Whatever does not start or stop within its time
// ends the process or fails the call; no wait is without bound.

#ifndef HOLDFAST_TESTS_CLUSTER_PATRONI_H_
#define HOLDFAST_TESTS_CLUSTER_PATRONI_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/cluster/database.h"
#include "tests/cluster/machine.h"
#include "tests/cluster/proxy.h"

namespace holdfast::testing {

struct PatroniOptions {
  // Commits wait for a standby, and are not acknowledged while there is none. Otherwise a fail-over may lose commits.
  bool synchronous = true;
};

class Patroni final : public Database {
 public:
  static constexpr int kServers = 3;

  // Returns when all servers run and replicate.
  explicit Patroni(const PatroniOptions& options = {});
  ~Patroni() override;

  std::string conninfo() const override;
  std::vector<std::unique_ptr<Proxy>> NewProxies() const override;
  std::string ConninfoAt(const std::vector<int>& ports) const override;
  // One server, whatever its role, without a proxy.
  std::string ConninfoOf(int server) const;

  // Waits until three servers run with one timeline, of which one is the primary and two receive its log, one of them
  // as the synchronous standby if commits wait for one. Returns the primary; nothing if that takes longer.
  std::optional<int> WaitUntilWell(absl::Duration timeout);
  // Makes the standbys that do not follow the primary anew from a copy of it, and returns how many there were.
  int MakeStandbysAnew();
  // The last answer of Patroni about its servers, for messages.
  const std::string& told() const { return told_; }
  // The end of the log of a machine.
  std::string Log(int server) const;

  // --- Faults. Those of a machine are of Patroni and PostgreSQL together.
  void KillPostmaster(int server) { At(server).machine->KillTopmost("postgres"); }
  void KillMachine(int server);
  void StartMachine(int server);
  void Freeze(int server) { At(server).machine->Freeze(); }
  void Thaw(int server) { At(server).machine->Thaw(); }
  // All ways of the machine but those from the nodes.
  void CutOff(int server, Proxy::Cut cut);
  // The way from the standbys to the server.
  void CutReplication(int server, Proxy::Cut cut) { At(server).from_standbys->Set(cut); }
  // Asks Patroni to make another server the primary, and waits until it says how that has gone. Returns whether it has.
  bool SwitchOver(int from);

 private:
  struct Server {
    int port = 0;
    int rest_port = 0;
    std::unique_ptr<Proxy> from_standbys;
    std::unique_ptr<Proxy> from_patroni;
    std::unique_ptr<Proxy> to_etcd;
    std::unique_ptr<Machine> machine;
  };
  // A server in an answer of Patroni.
  struct Told {
    int server;
    std::string role;
    std::string state;
    int timeline;
  };

  Server& At(int server) { return servers_[static_cast<size_t>(server)]; }
  const Server& At(int server) const { return servers_[static_cast<size_t>(server)]; }
  std::string PathOf(int server) const;
  void StartEtcd();
  void WriteConfig(int server) const;
  // Asks the machines one after the other until one answers.
  std::vector<Told> Ask();
  std::optional<int> Well();
  int Streaming(int primary) const;
  // Runs patronictl, and returns its exit status.
  int Control(std::vector<std::string> arguments) const;
  [[noreturn]] void Die(const std::string& what) const;

  const PatroniOptions options_;
  std::string directory_;
  int etcd_port_ = 0;
  std::unique_ptr<Machine> etcd_;
  std::array<Server, kServers> servers_;
  std::string told_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_PATRONI_H_
