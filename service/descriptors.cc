#include "service/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/call/connections.h"
#include "service/settings.h"

namespace holdfast::service {
namespace {

using config::v1::HttpConfig;
using config::v1::ServerConfig;
using config::v1::SqlConfig;
using config::v1::StorageConfig;

// The least number of each that is of use.
constexpr int64_t kConnectionsMin = 64;
constexpr int64_t kTempFilesMin = 32;
constexpr int64_t kTablesMin = 128;

// Connections of a node in one database beside those of its executors and its reads: folds, heartbeat, map, and one
// that is being opened.
constexpr int64_t kDatabaseConnections = 4;

// Returns the descriptors for databases. Those for the first are in the reserve, in place of the logs of a store on the
// disk. A node that takes another one over has all connections twice.
int64_t DatabaseDescriptors(const config::v1::PostgresConfig& postgres) {
  const int64_t of_one = postgres.read_connections_max() + postgres.walk_connections_max() + kDatabaseConnections;
  return int64_t{2} * std::max(0, postgres.database_size() - 1) * of_one;
}

// Returns the number that the setting gets if the limit has room.
template <typename Section>
int64_t ChosenMost(int field_number) {
  return SettingOf(*Section::descriptor()->FindFieldByNumber(field_number)).chosen_most();
}

}  // namespace

int64_t RaiseDescriptorLimit() {
  // Higher limits are of no use, and slow down old programs that are started from here.
  constexpr rlim_t kEnough = 1 << 20;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kEnough));
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  return static_cast<int64_t>(std::min(limit.rlim_cur, kEnough));
}

absl::Status DivideDescriptors(int64_t limit, config::v1::Config* config) {
  const int64_t connections = config->server().connections_max();
  const int64_t temp_files = config->sql().temp_files_max();
  const int64_t tables = config->storage().open_tables_max();
  const bool has_http = !config->http().listen().empty();
  const int64_t http = config->http().connections_max();
  const int64_t http_least = !has_http ? 0 : http > 0 ? http : kConnectionsMin;
  const int64_t reserve =
      kDescriptorReserve + static_cast<int64_t>(Connections::kClosingMax) + DatabaseDescriptors(config->postgres());
  const int64_t needed = reserve + http_least + (connections > 0 ? connections : kConnectionsMin) +
                         (temp_files > 0 ? temp_files : kTempFilesMin) + (tables > 0 ? tables : kTablesMin);
  if (needed > limit) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the process may have ", limit, " open files; at least ", needed,
        " are needed. Raise the limit (ulimit -n, LimitNOFILE=), or set server.connections_max, http.connections_max, "
        "sql.temp_files_max and storage.open_tables_max lower"));
  }
  int64_t left = limit - needed;
  // Gives a setting that is 0 its least number and a share of the descriptors that are left.
  const auto choose = [&left](int64_t set, int64_t least, int64_t most, int64_t share) {
    if (set > 0) return set;
    const int64_t more = std::min(most - least, left / share);
    left -= more;
    return least + more;
  };
  config->mutable_server()->set_connections_max(static_cast<int32_t>(
      choose(connections, kConnectionsMin, ChosenMost<ServerConfig>(ServerConfig::kConnectionsMaxFieldNumber), 2)));
  if (has_http) {
    config->mutable_http()->set_connections_max(static_cast<int32_t>(
        choose(http, kConnectionsMin, ChosenMost<HttpConfig>(HttpConfig::kConnectionsMaxFieldNumber), 3)));
  }
  config->mutable_sql()->set_temp_files_max(static_cast<int32_t>(
      choose(temp_files, kTempFilesMin, ChosenMost<SqlConfig>(SqlConfig::kTempFilesMaxFieldNumber), 4)));
  config->mutable_storage()->set_open_tables_max(static_cast<int32_t>(
      choose(tables, kTablesMin, ChosenMost<StorageConfig>(StorageConfig::kOpenTablesMaxFieldNumber), 1)));
  return absl::OkStatus();
}

}  // namespace holdfast::service
