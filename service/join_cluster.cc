#include "service/join_cluster.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "service/open_store.h"
#include "service/tls.h"

namespace holdfast::service {

using config::v1::Config;

storage::ClusterRuns ClusterRunsOf(storage::PostgresStore* rows, const Config& config) {
  const int executors = config.actors().executors() / config.postgres().database_size();
  return storage::ClusterRuns{.first = rows->first_log(),
                              .count = static_cast<storage::RunNumber>(executors),
                              .unfinished = [rows]() -> absl::StatusOr<absl::flat_hash_set<storage::RunNumber>> {
                                const absl::StatusOr<std::vector<int64_t>> writers = rows->membership().Unfinished();
                                if (!writers.ok()) return writers.status();
                                return absl::flat_hash_set<storage::RunNumber>(writers->begin(), writers->end());
                              }};
}

absl::StatusOr<std::unique_ptr<ClusterPlacement>> MakePlacement(const Config& config) {
  const auto& cluster = config.postgres().cluster();
  if (cluster.secret_file().empty()) return nullptr;
  absl::StatusOr<std::string> secret = ReadClusterSecret(config);
  if (!secret.ok()) return secret.status();
  return std::make_unique<ClusterPlacement>(PeerOptions{
      .secret = *std::move(secret), .credentials = PeerCredentials(config), .server_name = cluster.server_name()});
}

std::vector<AgentOptions> AgentOptionsOf(const Config& config) {
  const auto& cluster = config.postgres().cluster();
  std::vector<AgentOptions> all;
  for (storage::PostgresOptions& database : PostgresOptionsOf(config)) {
    all.push_back(
        {.postgres = std::move(database),
         .look_interval = absl::Milliseconds(cluster.look_interval_ms()),
         .limits = {.moves_max = static_cast<size_t>(cluster.shards_moved_max()), .load_min = cluster.moved_load_min()},
         .load_interval = cluster.load_interval_ms() == 0 ? absl::InfiniteDuration()
                                                          : absl::Milliseconds(cluster.load_interval_ms()),
         .turns_max = absl::Milliseconds(cluster.turn_end_ms())});
  }
  return all;
}

}  // namespace holdfast::service
