#include "service/move_data.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "service/open_store.h"
#include "storage/base/log.h"
#include "storage/node/move_store.h"
#include "storage/postgres/cluster_map.h"
#include "storage/postgres/postgres_store.h"
#include "storage/store/store.h"

namespace holdfast::service {
namespace {

namespace fs = std::filesystem;
using config::v1::Config;

constexpr absl::Duration kProgressInterval = absl::Seconds(10);

// A store in this directory, which neither has an archive nor makes backups.
Config InDirectory(Config config, const std::string& directory) {
  config.set_data_dir(directory);
  config.clear_postgres();
  config.mutable_backup()->Clear();
  return config;
}

// The databases, by a server alone: it is refused while another one is alive.
absl::StatusOr<OpenedStore> OpenDatabase(Config config) {
  if (config.postgres().database_size() == 0) {
    return absl::InvalidArgumentError("the configuration has no postgres.database");
  }
  config.mutable_postgres()->clear_cluster();
  absl::StatusOr<OpenedStore> opened = OpenStore(config);
  if (!opened.ok()) return opened;
  // The logs of a server that was killed have writes that are in none of the rows.
  for (storage::PostgresStore* const rows : opened->rows) {
    const absl::StatusOr<storage::postgres::ClusterMap> map = rows->membership().Look();
    if (!map.ok()) return map.status();
    for (const auto& [owner, member] : map->members) {
      if (owner == rows->membership().owner()) continue;
      return absl::FailedPreconditionError(absl::StrCat("the node \"", member.node, "\" at ", member.address,
                                                        " has not ended in order; start a server with this database "
                                                        "once more, and end it with SIGTERM"));
    }
  }
  return opened;
}

absl::Status Move(storage::Store* from, storage::Store* to, bool packed_in_order) {
  storage::MoveOptions options;
  options.packed_in_order = packed_in_order;
  options.progress = [told = absl::Now()](const storage::Moved& so_far) mutable {
    if (absl::Now() - told < kProgressInterval) return;
    told = absl::Now();
    Log(LogLevel::kInfo, "moving_data",
        {{"entries", absl::StrCat(so_far.entries)}, {"bytes", absl::StrCat(so_far.bytes)}});
  };
  const absl::StatusOr<storage::Moved> moved = storage::MoveStore(from, to, options);
  if (!moved.ok()) return moved.status();
  std::printf("%s",
              absl::StrCat("copied and compared ", moved->objects, " objects with ", moved->alarms, " alarms and ",
                           moved->request_records, " request records: ", moved->entries, " entries, ", moved->bytes,
                           " bytes, checksum ", absl::Hex(moved->checksum, absl::kZeroPad16), "\n")
                  .c_str());
  return absl::OkStatus();
}

}  // namespace

absl::Status MoveDataIn(const Config& config, const std::string& directory) {
  std::error_code error;
  // A store would be made where there is none.
  if (!fs::exists(fs::path(directory) / "CURRENT", error)) {
    return absl::NotFoundError(absl::StrCat(directory, " is no data directory"));
  }
  auto to = OpenDatabase(config);
  if (!to.ok()) return to.status();
  auto from = OpenStore(InDirectory(config, directory));
  if (!from.ok()) return from.status();
  return Move(from->store.get(), to->store.get(), /*packed_in_order=*/true);
}

absl::Status MoveDataOut(const Config& config, const std::string& directory) {
  std::error_code error;
  const std::string moving = directory + ".moving";
  for (const std::string& each : {directory, moving}) {
    if (!fs::exists(each, error)) continue;
    return absl::FailedPreconditionError(absl::StrCat(each, " is there already; remove it, or name another one"));
  }
  auto from = OpenDatabase(config);
  if (!from.ok()) return from.status();
  {
    auto to = OpenStore(InDirectory(config, moving));
    if (!to.ok()) return to.status();
    if (absl::Status status = Move(from->store.get(), to->store.get(), /*packed_in_order=*/false); !status.ok()) {
      return status;
    }
  }
  fs::rename(moving, directory, error);
  if (error) return absl::InternalError(absl::StrCat("rename of ", moving, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace holdfast::service
