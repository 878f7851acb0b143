// One client of a cluster: it sends each call to a node by chance, and again to another one until it is answered, as a
// client behind a load balancer does that gives each change a request id.

#ifndef HOLDFAST_TESTS_CLUSTER_ROUTE_H_
#define HOLDFAST_TESTS_CLUSTER_ROUTE_H_

#include <cstdint>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "tests/cluster/cluster.h"
#include "tests/crash/retried_call.h"

namespace holdfast::testing {

// One thread uses it, since it chooses by chance.
class Route {
 public:
  Route(const Cluster& cluster, uint64_t seed);
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;

  // The stubs for the next call; they are this route's.
  const Stubs& Any() { return nodes_[random_() % nodes_.size()]; }
  // Those of a node, for a call that is of that node; it is sent again to any.
  const Stubs& At(int node) const { return nodes_[static_cast<size_t>(node)]; }

  // A call is given up after this time. A node that does not answer for so long is not going to.
  static constexpr absl::Duration kAnswerMax = absl::Seconds(60);

 private:
  const Stubs* Again(const grpc::Status& failure, absl::Duration since);

  std::mt19937_64 random_;
  std::vector<Stubs> nodes_;
};

// Returns whether a call that failed so is to be sent again, with its id if it changes something (docs/retries.md).
bool MayBeSentAgain(const grpc::Status& failure);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CLUSTER_ROUTE_H_
