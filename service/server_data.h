// The data of a server: its store with archive and backups, opened and recovered, what is counted over all of it, and
// the room that SQL may take beside it.
//
// Threading: Open, Settle and the destructor on one thread; Gain, Lose and HoldsSomeLease on any. Ownership: the
// observer and the function of failures outlive it. Durability: see store.h; opening changes only what recovery must.

#ifndef HOLDFAST_SERVICE_SERVER_DATA_H_
#define HOLDFAST_SERVICE_SERVER_DATA_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "holdfast/config/v1/config.pb.h"
#include "service/open_store.h"
#include "storage/base/observer.h"
#include "storage/node/families.h"
#include "storage/node/namespace_usage.h"
#include "storage/node/run_clocks.h"
#include "storage/sql/temp_space.h"
#include "storage/store/store.h"

namespace holdfast::service {

class ServerData {
 public:
  // A database of a store in PostgreSQL.
  struct Database {
    storage::PostgresStore* rows;
    storage::LoggedStore* logged;
    storage::RunClocks* run_clocks;
  };
  using OpenFunction = std::function<absl::StatusOr<std::unique_ptr<storage::Store>>(const config::v1::Config& config)>;

  // `open_store` opens another store than the configuration says; it may be empty. `on_failure` is called on any thread
  // when a fold has failed, or another process has taken over a database.
  static absl::StatusOr<std::unique_ptr<ServerData>> Open(const config::v1::Config& config,
                                                          const OpenFunction& open_store, storage::Observer* observer,
                                                          std::function<void(const absl::Status&)> on_failure);
  ServerData(const ServerData&) = delete;
  ServerData& operator=(const ServerData&) = delete;

  // Ends the backups, and waits until all commits have ended. Nothing commits any more.
  void Settle();

  storage::Store* store() const { return opened_.store.get(); }
  // Null without a directory of backups.
  storage::Backups* backups() const { return opened_.backups.get(); }
  // The databases of a store in PostgreSQL; none for others, whose objects are all here.
  const std::vector<Database>& databases() const { return databases_; }
  storage::Families* families() const { return families_.get(); }
  storage::sql::TempSpace* sql_temp_space() const { return sql_temp_space_.get(); }
  // Null: there are no quotas of objects and bytes.
  storage::NamespaceUsage* namespace_usage() const { return namespace_usage_.get(); }

  // Those of an executor. Executors are dealt out to the databases in turn.
  storage::Store* executor_store(size_t executor) const { return executor_stores_[executor]; }
  storage::RunClocks* run_clocks(size_t executor) const { return run_clocks_[executor % run_clocks_.size()].get(); }
  // Returns whether some executor may answer reads: each has the lease of its own database.
  bool HoldsSomeLease() const;

  // Counts what namespaces have in a shard that comes, whose objects lie in these rows, or no longer.
  absl::Status Gain(storage::PostgresStore* rows, storage::ShardId shard, int64_t epoch);
  void Lose(storage::ShardId shard);

 private:
  explicit ServerData(OpenedStore opened) : opened_(std::move(opened)) {}
  absl::Status Recover(const config::v1::Config& config);
  absl::Status RecoverClocks(const config::v1::Config& config);
  absl::Status CountNamespaces(const config::v1::Config& config);

  OpenedStore opened_;
  std::vector<storage::Store*> executor_stores_;
  std::unique_ptr<storage::sql::TempSpace> sql_temp_space_;
  std::unique_ptr<storage::Families> families_;
  std::vector<std::unique_ptr<storage::RunClocks>> run_clocks_;  // of each database, or of the store that has none
  std::vector<Database> databases_;
  std::unique_ptr<storage::NamespaceUsage> namespace_usage_;
};

}  // namespace holdfast::service

#endif  // HOLDFAST_SERVICE_SERVER_DATA_H_
