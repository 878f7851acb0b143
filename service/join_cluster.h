// The parts of a server that make it a member of a cluster, out of its configuration.

#ifndef HOLDFAST_SERVICE_JOIN_CLUSTER_H_
#define HOLDFAST_SERVICE_JOIN_CLUSTER_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/cluster/cluster_agent.h"
#include "service/cluster/cluster_placement.h"
#include "storage/node/run_clocks.h"
#include "storage/postgres/postgres_store.h"

namespace holdfast::service {

// Returns the runs of a member; nothing if `rows` is null, and the store of the server is its own. Runs have the
// numbers of the writers. `rows` outlives the runs.
std::optional<storage::ClusterRuns> ClusterRunsOf(storage::PostgresStore* rows, const config::v1::Config& config);

// Returns where the shards are, and how to reach the other nodes; null if the server is alone. Errors name the setting.
absl::StatusOr<std::unique_ptr<ClusterPlacement>> MakePlacement(const config::v1::Config& config);

AgentOptions AgentOptionsOf(const config::v1::Config& config);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_JOIN_CLUSTER_H_
