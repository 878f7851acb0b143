// Rounds of one kind of fault under load, and the row of figures that they give.

#ifndef HOLDFAST_TESTS_CLUSTER_FAULT_ROUNDS_H_
#define HOLDFAST_TESTS_CLUSTER_FAULT_ROUNDS_H_

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/history.h"
#include "tests/cluster/load.h"

namespace holdfast::testing {

// The outcome of the rounds of a kind of fault.
struct FaultRow {
  std::string kind;
  int rounds = 0;
  int64_t acknowledged = 0;
  int64_t lost = 0;
  int64_t doubled = 0;
  int64_t other = 0;
  absl::Duration longest_outage;  // the longest call, with all its repeats

  int64_t wrong() const { return lost + doubled + other; }
};

// A cluster under load, to which something happens in each round.
class FaultRounds {
 public:
  FaultRounds(std::string kind, const ClusterOptions& options, uint64_t seed);

  // Begins the load, lets `strike` do what happens, starts each node that does not run, waits until all shards are
  // served, ends the load and checks. What is wrong is in findings().
  void Run(const std::function<void()>& strike);
  // The parts of it, for what happens while there is no load.
  void Settle();
  void Check();
  Load& load() { return load_; }

  Cluster& cluster() { return cluster_; }
  const FaultRow& row() const { return row_; }
  const std::vector<Finding>& findings() const { return findings_; }

  absl::Duration lease() const { return cluster_.options().lease; }
  // A node by chance, and one of the others.
  int AnyNode() { return static_cast<int>(random_() % static_cast<uint64_t>(cluster_.size())); }
  int Other(int node, int step = 1) const { return (node + step) % cluster_.size(); }
  // Sleeps for a time by chance between these two.
  void Sleep(absl::Duration least, absl::Duration most);

 private:
  void StartAll();

  std::mt19937_64 random_;
  Cluster cluster_;
  Load load_;
  FaultRow row_;
  std::vector<Finding> findings_;
};

// The table of all rows so far.
std::string TableOf(const std::vector<FaultRow>& rows);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_FAULT_ROUNDS_H_
