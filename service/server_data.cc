#include "service/server_data.h"

#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "service/join_cluster.h"
#include "storage/base/disk_space.h"
#include "storage/node/move_store.h"

namespace holdfast::service {

using config::v1::Config;

absl::StatusOr<std::unique_ptr<ServerData>> ServerData::Open(const Config& config, const OpenFunction& open_store,
                                                             storage::Observer* observer,
                                                             std::function<void(const absl::Status&)> on_failure) {
  OpenedStore opened;
  if (open_store != nullptr) {
    auto store = open_store(config);
    if (!store.ok()) return store.status();
    opened.store = *std::move(store);
  } else {
    auto configured = OpenStore(config, observer, std::move(on_failure));
    if (!configured.ok()) return configured.status();
    opened = *std::move(configured);
  }
  std::unique_ptr<ServerData> data(new ServerData(std::move(opened)));
  if (absl::Status status = data->Recover(config); !status.ok()) return status;
  return data;
}

absl::Status ServerData::Recover(const Config& config) {
  for (int i = 0; i < config.actors().executors(); ++i) executor_stores_.push_back(store()->ForExecutor(i));
  // A store that is not on the disk has not made the directory.
  std::error_code no_directory;
  std::filesystem::create_directories(config.data_dir(), no_directory);
  sql_temp_space_ = std::make_unique<storage::sql::TempSpace>(
      config.data_dir(),
      storage::sql::TempSpace::Limits{
          .bytes_max = static_cast<uint64_t>(config.sql().temp_bytes_of_all_max()),
          .files_max = config.sql().temp_files_max(),
          .disk_reserve_bytes = static_cast<uint64_t>(config.storage().disk_reserve_bytes())},
      storage::FreeBytesOf(config.data_dir()));
  if (absl::Status status = storage::CheckMoved(store()); !status.ok()) return status;
  families_ = std::make_unique<storage::Families>(store(), config.storage().column_families_max());
  if (absl::Status status = families_->Recover(); !status.ok()) return status;
  if (absl::Status status = RecoverClocks(config); !status.ok()) return status;
  return CountNamespaces(config);
}

absl::Status ServerData::RecoverClocks(const Config& config) {
  if (opened_.rows.empty()) run_clocks_.push_back(std::make_unique<storage::RunClocks>(store()));
  for (size_t i = 0; i < opened_.rows.size(); ++i) {
    run_clocks_.push_back(
        std::make_unique<storage::RunClocks>(opened_.logged[i], ClusterRunsOf(opened_.rows[i], config)));
    databases_.push_back(
        {.rows = opened_.rows[i], .logged = opened_.logged[i], .run_clocks = run_clocks_.back().get()});
  }
  for (const auto& clocks : run_clocks_) {
    if (absl::Status status = clocks->Recover(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ServerData::CountNamespaces(const Config& config) {
  storage::NamespaceUsage::Quotas quotas;
  for (const auto& one : config.namespace_()) {
    quotas[one.name()] = {one.objects_max(), one.bytes_max()};
  }
  const bool wanted = absl::c_any_of(
      quotas, [](const auto& quota) { return quota.second.objects_max > 0 || quota.second.bytes_max > 0; });
  if (!wanted) return absl::OkStatus();
  uint64_t run = 0;
  while (run == 0 && !databases_.empty()) run = uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  namespace_usage_ = std::make_unique<storage::NamespaceUsage>(std::move(quotas), run);
  return namespace_usage_->Count(store());
}

void ServerData::Settle() {
  opened_.backups = nullptr;
  store()->WaitForCommits();
}

bool ServerData::HoldsSomeLease() const {
  return absl::c_any_of(executor_stores_, [](storage::Store* store) { return store->HoldsLease(); });
}

absl::Status ServerData::Gain(storage::PostgresStore* rows, storage::ShardId shard, int64_t epoch) {
  if (namespace_usage_ == nullptr) return absl::OkStatus();
  storage::NamespaceUsage::Counts counts;
  absl::Status status = rows->ReadCatalog(shard, [&](absl::string_view key, absl::string_view value) {
    storage::NamespaceUsage::CountRecord(key, value, &counts);
  });
  if (status.ok()) namespace_usage_->Gain(shard, epoch, counts);
  return status;
}

void ServerData::Lose(storage::ShardId shard) {
  if (namespace_usage_ != nullptr) namespace_usage_->Lose(shard);
}

}  // namespace holdfast::service
