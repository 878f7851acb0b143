// The servers that Holdfast is compared with. Each does the same work in the way of its own users, and its reply means
// that the write is durable: workerd (durable objects on local disk, behind the output gate), Restate (virtual objects,
// with a synced log) and Redis (with an append-only file that is synced before each reply). peers/README.md says what
// to install.

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
  std::string name;        // the name of the WireWorkload that is the same work
  int units_per_call = 1;  // commands in a pipeline
  // `outstanding` is also the number of connections: one for each slot.
  std::function<std::unique_ptr<Transport>(int outstanding)> connect;
  // Makes the data that a load needs. It must be called before each load: a peer drops objects from memory after some
  // seconds without calls, and loading them again would be other work.
  std::function<absl::Status()> prepare = [] { return absl::OkStatus(); };
  // Reads back how many units were done since the peer was started; empty where that cannot be read. Workloads that do
  // the same to the same objects are counted together.
  std::function<absl::StatusOr<int64_t>()> count_done = {};
};

// A peer that was started. The destructor ends its processes.
struct Peer {
  std::string name;
  std::vector<PeerWorkload> workloads;
  std::vector<std::unique_ptr<Child>> processes;
  int port = 0;

  absl::Duration CpuTime() const;
  double ResidentMb() const;
};

struct PeerPaths {
  std::string tools;    // build/tools, where peers/install.sh installs
  std::string sources;  // tests/bench/peers
};

// These functions start a peer on free loopback ports, with its data and its logs in `directory`. The error says why a
// peer could not start: NotFound if it is not installed.
absl::StatusOr<std::unique_ptr<Peer>> StartWorkerd(const PeerPaths& paths, const std::string& directory);
absl::StatusOr<std::unique_ptr<Peer>> StartRestate(const PeerPaths& paths, const std::string& directory);
absl::StatusOr<std::unique_ptr<Peer>> StartRedis(const std::string& directory);

// Returns null if the peer does not do this work.
const PeerWorkload* WorkloadOf(const Peer& peer, const std::string& workload);
// Returns the transport of the workload, whose `prepare` must have been called.
std::unique_ptr<Transport> MakeTransport(const Peer& peer, const std::string& workload, int outstanding);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEERS_H_
