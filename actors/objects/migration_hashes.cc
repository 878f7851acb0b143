#include "actors/objects/migration_hashes.h"

#include <xxhash.h>

#include <bit>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "actors/wire/errors.h"
#include "storage/store/key_codec.h"

namespace holdfast::actors {
namespace {

namespace sql = storage::sql;

constexpr char kFind[] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_meta_migrations'";
constexpr char kRead[] = "SELECT hash FROM _meta_migrations WHERE version = ?";
constexpr char kReadLowest[] = "SELECT min(version) FROM _meta_migrations";
constexpr char kCreate[] =
    "CREATE TABLE IF NOT EXISTS _meta_migrations(version INTEGER PRIMARY KEY, hash TEXT NOT NULL)";
constexpr char kBegin[] = "INSERT OR IGNORE INTO _meta_migrations(version, hash) VALUES (0, '')";
constexpr char kRemove[] = "DELETE FROM _meta_migrations WHERE version > ?";
constexpr char kWrite[] = "INSERT OR REPLACE INTO _meta_migrations(version, hash) VALUES (?, ?)";

absl::StatusOr<sql::Result> Run(sql::Connection& connection, const char* text, std::vector<sql::Value> params = {}) {
  auto result = RunSql(connection, {"_meta_migrations", text, std::move(params)});
  connection.ForgetResults();
  return result;
}

absl::StatusOr<bool> TableExists(sql::Connection& connection) {
  const auto found = Run(connection, kFind);
  if (!found.ok()) return found.status();
  return !found->rows.empty();
}

// Returns the lowest version that has a row; INT64_MAX if there is none.
absl::StatusOr<int64_t> LowestKnown(sql::Connection& connection) {
  const auto read = Run(connection, kReadLowest);
  if (!read.ok()) return read.status();
  const auto* lowest = std::get_if<int64_t>(&read->rows[0][0]);
  return lowest == nullptr ? std::numeric_limits<int64_t>::max() : *lowest;
}

enum class Known { kSame, kOther, kMissing };

absl::StatusOr<Known> Compare(sql::Connection& connection, const SqlMigration& migration) {
  const auto read = Run(connection, kRead, {migration.version});
  if (!read.ok()) return read.status();
  if (read->rows.empty()) return Known::kMissing;
  const auto* hash = std::get_if<std::string>(&read->rows[0][0]);
  return hash != nullptr && *hash == MigrationHash(migration) ? Known::kSame : Known::kOther;
}

absl::Status Changed(const SqlMigration& migration, Known known, int64_t version) {
  const std::string what =
      known == Known::kOther
          ? absl::StrCat("version ", migration.version, " has changed since it ran")
          : absl::StrCat("version ", migration.version, " never ran, and the object is at version ", version);
  return Error(absl::StatusCode::kFailedPrecondition, v1::ERROR_REASON_SCHEMA_CHANGED,
               absl::StrCat(migration.field, ": ", what,
                            "; nothing was done. With accept_changed_migrations it counts as one that ran"));
}

struct ValueHasher {
  std::string* bytes;

  void operator()(const sql::Null&) const { bytes->push_back(0); }
  void operator()(int64_t value) const {
    bytes->push_back(1);
    storage::AppendInt64(bytes, value);
  }
  void operator()(double value) const {
    bytes->push_back(2);
    storage::AppendInt64(bytes, std::bit_cast<int64_t>(value));
  }
  void operator()(const std::string& value) const {
    bytes->push_back(3);
    storage::AppendText(bytes, value);
  }
  void operator()(const sql::Blob& value) const {
    bytes->push_back(4);
    storage::AppendText(bytes, value.bytes);
  }
};

}  // namespace

std::string MigrationHash(const SqlMigration& migration) {
  std::string bytes(1, migration.foreign_keys_off ? 1 : 0);
  for (const SqlText& statement : migration.statements) {
    storage::AppendText(&bytes, statement.sql);
    storage::AppendUint32(&bytes, static_cast<uint32_t>(statement.params.size()));
    for (const sql::Value& param : statement.params) std::visit(ValueHasher{&bytes}, param);
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16), absl::Hex(hash.low64, absl::kZeroPad16));
}

absl::StatusOr<std::vector<const SqlMigration*>> CompareMigrations(sql::Connection& connection,
                                                                   const std::vector<SqlMigration>& migrations,
                                                                   int64_t version, bool accept_changed) {
  std::vector<const SqlMigration*> to_store;
  const auto exists = TableExists(connection);
  if (!exists.ok()) return exists.status();
  std::optional<int64_t> lowest;  // read only when needed
  for (const SqlMigration& migration : migrations) {
    if (migration.version > version) break;
    auto known = *exists ? Compare(connection, migration) : Known::kMissing;
    if (!known.ok()) return known.status();
    if (*known == Known::kSame) continue;
    if (*known == Known::kMissing && *exists && !lowest) {
      const auto read = LowestKnown(connection);
      if (!read.ok()) return read.status();
      lowest = *read;
    }
    const bool unknown = *known == Known::kMissing && (!*exists || migration.version < *lowest);
    if (!unknown && !accept_changed) return Changed(migration, *known, version);
    to_store.push_back(&migration);
  }
  return to_store;
}

absl::Status StoreMigrationHashes(sql::Connection& connection, const std::vector<const SqlMigration*>& migrations,
                                  int64_t before) {
  if (auto result = Run(connection, kCreate); !result.ok()) return result.status();
  if (before == 0) {
    if (auto result = Run(connection, kBegin); !result.ok()) return result.status();
  }
  if (auto result = Run(connection, kRemove, {before}); !result.ok()) return result.status();
  for (const SqlMigration* migration : migrations) {
    auto result = Run(connection, kWrite, {migration->version, MigrationHash(*migration)});
    if (!result.ok()) return result.status();
  }
  return absl::OkStatus();
}

}  // namespace holdfast::actors
