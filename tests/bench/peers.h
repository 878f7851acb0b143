// The servers that Holdfast is compared with, each doing the same work as its own users do it, and each with a reply
// that means durable: workerd (durable objects on local disk, behind the output gate), Restate (virtual objects, its
// log synced) and Redis (its append-only file synced before each reply). peers/README.md says what is to be installed.

#ifndef HOLDFAST_TESTS_BENCH_PEERS_H_
#define HOLDFAST_TESTS_BENCH_PEERS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/child.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

struct PeerWorkload {
  std::string name;        // as that of the WireWorkload which is the same work
  int units_per_call = 1;  // commands of a pipeline
  // `outstanding` is the count of connections too: one for each slot.
  std::function<std::unique_ptr<Transport>(int outstanding)> connect;
  // Makes what has to be there before a load. To be called before each: what was in memory leaves it after some seconds
  // without calls, and to load it anew is another work.
  std::function<absl::Status()> prepare = [] { return absl::OkStatus(); };
  // Reads back how many units have been done since the peer was started; empty where that can't be read. Workloads
  // that do the same to the same objects are counted together.
  std::function<absl::StatusOr<int64_t>()> count_done = {};
};

// One that has been started. Ends its processes when it is destroyed.
struct Peer {
  std::string name;
  std::vector<PeerWorkload> workloads;
  std::vector<std::unique_ptr<Child>> processes;
  int port = 0;

  absl::Duration CpuTime() const;
  double ResidentMb() const;
};

struct PeerPaths {
  std::string tools;    // where peers/install.sh installs: build/tools
  std::string sources;  // tests/bench/peers
};

// Start a peer on free loopback ports, with its data and its logs in `directory`. An error says why it is not there:
// NotFound if it is not installed.
absl::StatusOr<std::unique_ptr<Peer>> StartWorkerd(const PeerPaths& paths, const std::string& directory);
absl::StatusOr<std::unique_ptr<Peer>> StartRestate(const PeerPaths& paths, const std::string& directory);
absl::StatusOr<std::unique_ptr<Peer>> StartRedis(const std::string& directory);

// Null if the peer does no such work.
const PeerWorkload* WorkloadOf(const Peer& peer, const std::string& workload);
// The same; `prepare` must have been called.
std::unique_ptr<Transport> MakeTransport(const Peer& peer, const std::string& workload, int outstanding);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEERS_H_
