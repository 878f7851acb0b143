#ifndef HOLDFAST_SERVICE_OPEN_STORE_H_
#define HOLDFAST_SERVICE_OPEN_STORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "holdfast/config/v1/config.pb.h"
#include "storage/backup/archiver.h"
#include "storage/backup/backups.h"
#include "storage/base/observer.h"
#include "storage/fold/logged_store.h"
#include "storage/postgres/postgres_store.h"
#include "storage/store/store.h"

namespace holdfast::service {

// A store with its archive and its backups. They end in the reverse order: the archive last, so that it has every
// commit.
struct OpenedStore {
  std::unique_ptr<storage::Archiver> archiver;  // null without an archive
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<storage::Backups> backups;  // null without a directory of backups
  // Parts of a store in PostgreSQL, for each database; none for others.
  std::vector<storage::PostgresStore*> rows;
  std::vector<storage::LoggedStore*> logged;
};

// Opens the store of a server: RocksDB in the data directory, with a commit log for each executor, or the databases of
// config.postgres. Begins the backups and the archive that are configured. `config` has gone through CompleteConfig.
// `on_failure`, if it is not empty, is called once, on any thread, when a fold fails, or when another process has taken
// over a database.
absl::StatusOr<OpenedStore> OpenStore(const config::v1::Config& config, storage::Observer* observer = nullptr,
                                      std::function<void(const absl::Status&)> on_failure = {});

// Returns how a server with this configuration is a member of its cluster, in each database.
std::vector<storage::PostgresOptions> PostgresOptionsOf(const config::v1::Config& config);
// Reads the secret of the cluster if there is to be one. Errors name the setting and the file.
absl::StatusOr<std::string> ReadClusterSecret(const config::v1::Config& config);

// Makes the tables of a cluster in the databases of `config`.
absl::Status InitCluster(const config::v1::Config& config);

// Brings back the store from the backups in `directory` to the data directory of `config`, as of `at`, and prints what
// it has restored.
absl::Status RestoreStore(const config::v1::Config& config, const std::string& directory, std::optional<absl::Time> at);

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_OPEN_STORE_H_
