// The parts of a server that make it a member of a cluster, out of its configuration.

#ifndef HOLDFAST_SERVICE_JOIN_CLUSTER_H_
#define HOLDFAST_SERVICE_JOIN_CLUSTER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/cluster/cluster_agent.h"
#include "service/cluster/cluster_placement.h"
#include "storage/node/run_clocks.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::service {

// Returns the runs of a member in one of its databases. Runs have the numbers of the writers. `rows` outlives the runs.
storage::ClusterRuns ClusterRunsOf(storage::PostgresStore* rows, const config::v1::Config& config);

// Returns where the shards are, and how to reach the other nodes; null if the server is alone. Errors name the setting.
absl::StatusOr<std::unique_ptr<ClusterPlacement>> MakePlacement(const config::v1::Config& config);

// Returns the options of the agent in each database.
std::vector<AgentOptions> AgentOptionsOf(const config::v1::Config& config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_JOIN_CLUSTER_H_
