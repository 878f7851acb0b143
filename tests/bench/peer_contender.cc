#include "tests/bench/peer_contender.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace holdfast::bench {
namespace {

constexpr int kConnectionsMax = 64;

class StartedPeer final : public Contender {
 public:
  explicit StartedPeer(std::unique_ptr<Peer> peer) : peer_(std::move(peer)) {}

  const std::string& name() const override { return peer_->name; }
  Work WorkOf(const std::string& workload) override {
    // Redis has no batch of its own, so that it gets a pipeline of many commands.
    const PeerWorkload* const found =
        WorkloadOf(*peer_, workload == "batch-increment-64" ? "incr-pipelined-16" : workload);
    if (found == nullptr) return {};
    return {.units_per_call = found->units_per_call,
            .outstanding_max = kConnectionsMax,
            .connect = [found](int, int slots) { return found->connect(slots); },
            .prepare =
                [this, found] {
                  const absl::Status status = found->prepare();
                  if (status.ok()) return;
                  std::fprintf(stderr, "%s: %s\n", peer_->name.c_str(), status.ToString().c_str());
                  std::exit(1);
                }};
  }
  absl::Duration CpuTime() const override { return peer_->CpuTime(); }
  double ResidentMb() const override { return peer_->ResidentMb(); }

 private:
  const std::unique_ptr<Peer> peer_;
};

}  // namespace

std::unique_ptr<Contender> PeerContender(std::unique_ptr<Peer> peer) {
  return std::make_unique<StartedPeer>(std::move(peer));
}

}  // namespace holdfast::bench
