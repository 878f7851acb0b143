#include "tests/bench/peers.h"

namespace holdfast::bench {

absl::Duration Peer::CpuTime() const {
  absl::Duration sum;
  for (const auto& process : processes) sum += CpuTimeOf(process->pid());
  return sum;
}

double Peer::ResidentMb() const {
  double sum = 0;
  for (const auto& process : processes) sum += ResidentMbOf(process->pid());
  return sum;
}

const PeerWorkload* WorkloadOf(const Peer& peer, const std::string& workload) {
  for (const PeerWorkload& one : peer.workloads) {
    if (one.name == workload) return &one;
  }
  return nullptr;
}

std::unique_ptr<Transport> MakeTransport(const Peer& peer, const std::string& workload, int outstanding) {
  const PeerWorkload* const found = WorkloadOf(peer, workload);
  return found == nullptr ? nullptr : found->connect(outstanding);
}

}  // namespace holdfast::bench
