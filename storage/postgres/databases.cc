#include "storage/postgres/databases.h"

#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "storage/base/check.h"
#include "storage/postgres/schema.h"

namespace holdfast::storage {
namespace {

using postgres::ClusterMark;

// Names the database in an error, where there are several.
absl::Status At(const PostgresOptions& database, const absl::Status& status) {
  if (status.ok() || database.part.databases == 1) return status;
  return absl::Status(status.code(),
                      absl::StrCat("postgres.database[", database.part.database, "]: ", status.message()));
}

absl::Status OfAnotherCluster() {
  return absl::FailedPreconditionError("PostgreSQL: the database is of another cluster than those before it");
}

void CheckParts(absl::Span<const PostgresOptions> databases) {
  HOLDFAST_CHECK(!databases.empty() && databases.size() <= postgres::kDatabasesMax, absl::StrCat(databases.size()));
  for (size_t i = 0; i < databases.size(); ++i) {
    const postgres::DatabasePart part = {static_cast<uint32_t>(i), static_cast<uint32_t>(databases.size())};
    HOLDFAST_CHECK(databases[i].part == part, absl::StrCat("database ", i));
  }
}

// Checks the tables that a database has. Sets `*cluster` to its id, if that is empty. Returns whether a process has
// been a member there; nothing if there are no tables.
absl::StatusOr<std::optional<bool>> CheckTables(const PostgresOptions& database, std::string* cluster) {
  const postgres::SessionOptions session = postgres::SessionOf(database);
  auto connection = postgres::OpenSession(session, postgres::SessionKind::kReader);
  if (!connection.ok()) return connection.status();
  const postgres::Deadline deadline = session.driver->After(absl::ToChronoNanoseconds(database.read_timeout));
  const auto mark = postgres::ReadMark(connection->get(), deadline);
  if (!mark.ok()) return mark.status();
  if (!*mark) return std::nullopt;
  if (absl::Status status = postgres::CheckPart(**mark, database.part); !status.ok()) return status;
  if (cluster->empty()) *cluster = (*mark)->cluster;
  if ((*mark)->cluster != *cluster) return OfAnotherCluster();
  const absl::StatusOr<bool> used = postgres::IsUsed(connection->get(), deadline);
  if (!used.ok()) return used.status();
  return *used;
}

// Calls `run` with the numbers below `count`, each on a thread of its own.
void AtOnce(size_t count, absl::FunctionRef<void(size_t)> run) {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back([&run, i] { run(i); });
  run(0);
  for (std::thread& thread : threads) thread.join();
}

absl::Status CheckCluster(absl::Span<const PostgresOptions> databases) {
  std::string cluster;
  for (const PostgresOptions& database : databases) {
    const postgres::SessionOptions session = postgres::SessionOf(database);
    auto connection = postgres::OpenFirstSession(session);
    if (!connection.ok()) return At(database, connection.status());
    const absl::StatusOr<ClusterMark> mark = postgres::CheckSchema(
        connection->get(), database.part, session.driver->After(absl::ToChronoNanoseconds(database.read_timeout)));
    if (!mark.ok()) return At(database, mark.status());
    if (cluster.empty()) cluster = mark->cluster;
    if (mark->cluster != cluster) return At(database, OfAnotherCluster());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InitDatabases(absl::Span<const PostgresOptions> databases) {
  CheckParts(databases);
  std::string cluster;
  if (databases.size() > 1) {
    const PostgresOptions* without = nullptr;
    bool in_use = false;
    for (const PostgresOptions& database : databases) {
      const absl::StatusOr<std::optional<bool>> used = CheckTables(database, &cluster);
      if (!used.ok()) return At(database, used.status());
      if (!*used) without = &database;
      in_use = in_use || used->value_or(false);
    }
    // Empty tables in place of lost ones would look as if the objects there had never been.
    if (without != nullptr && in_use) {
      return At(*without,
                absl::FailedPreconditionError(
                    "PostgreSQL: the database has no tables, and the others are of a cluster that was in use: "
                    "it is the wrong one, or its tables are lost; nothing was changed"));
    }
  }
  for (const PostgresOptions& database : databases) {
    const auto mark = postgres::InitDatabase(postgres::SessionOf(database), database.part, cluster);
    if (!mark.ok()) return At(database, mark.status());
    // Another process may have made the first tables meanwhile, with an id of its own.
    if (cluster.empty()) cluster = mark->cluster;
    if (mark->cluster != cluster) return At(database, OfAnotherCluster());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::unique_ptr<PostgresStore>>> OpenDatabases(absl::Span<const PostgresOptions> databases) {
  CheckParts(databases);
  if (databases.size() > 1) {
    if (absl::Status status = CheckCluster(databases); !status.ok()) return status;
  }
  // A member that is in the way is waited for in all databases at once, before this process is a member in any: others
  // give shards to a member, and nobody would serve them while it waits elsewhere.
  std::vector<std::optional<absl::StatusOr<postgres::SilenceWatch>>> silent(databases.size());
  std::vector<std::optional<absl::StatusOr<std::unique_ptr<PostgresStore>>>> opened(databases.size());
  if (databases.size() > 1) {
    AtOnce(databases.size(), [&](size_t i) { silent[i].emplace(AwaitSilence(databases[i])); });
    for (size_t i = 0; i < databases.size(); ++i) {
      if (!silent[i]->ok()) return At(databases[i], silent[i]->status());
    }
  }
  AtOnce(databases.size(), [&](size_t i) {
    opened[i] = OpenPostgresStore(databases[i], silent[i] ? std::optional(**std::move(silent[i])) : std::nullopt);
  });
  std::vector<std::unique_ptr<PostgresStore>> stores;
  for (size_t i = 0; i < databases.size(); ++i) {
    if (!opened[i]->ok()) return At(databases[i], opened[i]->status());
    stores.push_back(**std::move(opened[i]));
  }
  return stores;
}

}  // namespace holdfast::storage
