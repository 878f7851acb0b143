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

std::optional<storage::ClusterRuns> ClusterRunsOf(storage::PostgresStore* rows, const Config& config) {
  if (rows == nullptr) return std::nullopt;
  return storage::ClusterRuns{.first = rows->first_log(),
                              .count = static_cast<storage::RunNumber>(config.actors().executors()),
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

AgentOptions AgentOptionsOf(const Config& config) {
  const auto& cluster = config.postgres().cluster();
  AgentOptions options;
  options.postgres = PostgresOptionsOf(config);
  options.look_interval = absl::Milliseconds(cluster.look_interval_ms());
  options.moves_max = static_cast<size_t>(cluster.shards_moved_max());
  options.turns_max = absl::Milliseconds(cluster.turn_end_ms());
  return options;
}

}  // namespace holdfast::service
