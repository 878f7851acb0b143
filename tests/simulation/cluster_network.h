// The way between the processes of a simulated cluster and its database, with all that may happen to a trip there: it
// is slow, it arrives when nobody waits any more, its answer is lost, the connection breaks before or after it is
// carried out, the database stands still, restarts, or is replaced by its standby.

#ifndef HOLDFAST_TESTS_SIMULATION_CLUSTER_NETWORK_H_
#define HOLDFAST_TESTS_SIMULATION_CLUSTER_NETWORK_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "storage/postgres/driver.h"
#include "tests/simulation/cluster_database.h"
#include "tests/simulation/fibers.h"
#include "tests/simulation/seed.h"

namespace holdfast::simulation {

// Things that are to happen, by their time. Those at one time happen in the order in which they were added.
class Agenda {
 public:
  void At(absl::Time time, std::function<void()> what) { what_.emplace(time, std::move(what)); }
  absl::Time next() const { return what_.empty() ? absl::InfiniteFuture() : what_.begin()->first; }
  void RunNext() {
    auto first = what_.extract(what_.begin());
    first.mapped()();
  }
  void Clear() { what_.clear(); }

 private:
  std::multimap<absl::Time, std::function<void()>> what_;
};

// A process, as the network knows it.
struct Link {
  int group = 0;  // of its fibers
  bool dead = false;
  absl::Time cut_until = absl::InfinitePast();  // nothing passes until then
  absl::Time paused_until = absl::InfinitePast();
  // It is paused for so long once it has sent something to the database.
  absl::Duration pause_after_send;
  // The clock of its leases.
  absl::Duration boot_offset;
  double boot_rate = 1;
  // When it last had the answer to a write, by that clock.
  absl::Duration answered_at = -absl::InfiniteDuration();
};

class Network {
 public:
  // They outlive the network.
  Network(Dice* dice, Fibers* fibers, Agenda* agenda, ClusterBroken broken);

  // One trip of so many has a fault; 0: none has.
  void set_faults(uint64_t one_in) { faults_ = one_in; }
  // The database carries nothing out until then.
  void Hang(absl::Time until) { hang_until_ = until; }
  // All connections break.
  void Restart() { ++generation_; }
  // The standby takes over, and the server that it replaces runs on until `until`.
  void FailOver(absl::Time until);

  // Makes the driver of a process; the link outlives it.
  std::unique_ptr<storage::postgres::Driver> DriverOf(Link* link);
  absl::Duration BootTimeOf(const Link& link) const;

  int64_t trips() const { return trips_; }
  int64_t faults() const { return faults_met_; }

 private:
  class Connection;
  class Driver;
  struct Trip;

  std::shared_ptr<DatabaseServer> ServerFor(size_t first_host);
  absl::Duration Latency();
  // Carries a trip out, or puts it off.
  void Arrive(const std::shared_ptr<Trip>& trip);

  Dice* const dice_;
  Fibers* const fibers_;
  Agenda* const agenda_;
  uint64_t faults_ = 0;
  absl::Time hang_until_ = absl::InfinitePast();
  int generation_ = 0;
  // One of them takes the writes, and the other one may be the server that it has replaced.
  std::array<std::shared_ptr<DatabaseServer>, 2> servers_;
  size_t primary_ = 0;
  int fail_overs_ = 0;
  int64_t trips_ = 0;
  int64_t faults_met_ = 0;
};

}  // namespace holdfast::simulation

#endif  // HOLDFAST_TESTS_SIMULATION_CLUSTER_NETWORK_H_
