#include "service/open_store.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/access/small_file.h"
#include "storage/backup/backup_list.h"
#include "storage/backup/restore.h"
#include "storage/base/log.h"
#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
#include "storage/postgres/databases.h"
#include "storage/postgres/divided_store.h"
#include "storage/rocksdb/rocksdb_copies.h"
#include "storage/rocksdb/rocksdb_store.h"

namespace holdfast::service {
namespace {

using config::v1::Config;

// The least number of files of a commit log, which the bound on its bytes may raise.
constexpr int kSegmentsMin = 4;

uint64_t RandomBits() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// Returns the seed from which the bytes follow that a crash test loses.
std::optional<uint64_t> LoseUnsyncedSeed(const Config& config) {
  if (!config.testing().lose_unsynced()) return std::nullopt;
  uint64_t seed = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread changes the environment.
  const char* const given = std::getenv("HOLDFAST_TEST_SEED");
  if (given == nullptr || !absl::SimpleAtoi(given, &seed)) seed = RandomBits();
  Log(LogLevel::kInfo, "lose_unsynced", {{"seed", absl::StrCat(seed)}});
  return seed;
}

storage::RocksDbOptions RocksDbOptionsOf(const Config& config) {
  const auto& settings = config.storage();
  storage::RocksDbOptions options;
  options.data_dir = config.data_dir();
  options.block_cache_bytes = settings.block_cache_bytes();
  options.memtable_bytes = settings.memtable_bytes();
  options.wal_bytes_max = settings.wal_bytes_max();
  options.disk_reserve_bytes = settings.disk_reserve_bytes();
  options.open_tables_max = settings.open_tables_max();
  return options;
}

storage::FileCommitLogOptions LogOptionsOf(const Config& config) {
  const auto& settings = config.storage();
  storage::FileCommitLogOptions options;
  options.directory = config.data_dir();
  options.run = RandomBits();
  options.segment_bytes =
      static_cast<uint64_t>(settings.log_segment_bytes()) / storage::kLogBlockBytes * storage::kLogBlockBytes;
  options.segments_max =
      std::max(kSegmentsMin, static_cast<int>(settings.log_bytes_max() / settings.log_segment_bytes()));
  return options;
}

std::string HashOf(const std::string& secret) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), hash.data());
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
}

// The secret of a cluster is not to be guessed.
constexpr size_t kSecretBytesMin = 32;
// The most bytes of its file.
constexpr size_t kSecretBytesMax = 4096;

}  // namespace

std::vector<storage::PostgresOptions> PostgresOptionsOf(const Config& config) {
  const auto& settings = config.postgres();
  const int databases = settings.database_size();
  storage::PostgresOptions options;
  options.node = settings.node();
  const auto& cluster = settings.cluster();
  options.joins = !cluster.secret_file().empty();
  options.address = cluster.address().empty() ? config.listen() : cluster.address();
  options.owner = absl::StrCat(absl::Hex(RandomBits(), absl::kZeroPad16), absl::Hex(RandomBits(), absl::kZeroPad16));
  options.executors = config.actors().executors() / databases;
  options.lease = absl::Milliseconds(settings.lease_ms());
  options.commit_timeout = absl::Milliseconds(settings.commit_time_limit_ms());
  options.read_timeout = absl::Milliseconds(settings.read_time_limit_ms());
  options.outage_max = absl::Milliseconds(settings.outage_limit_ms());
  options.read_connections_max = settings.read_connections_max();
  options.cursor_connections_max = settings.walk_connections_max();
  options.row_cache_bytes = static_cast<size_t>(settings.row_cache_bytes() / databases);
  options.clock_apart_max = absl::Milliseconds(settings.clock_apart_max_ms());
  options.fence_off = config.testing().fence_off();
  // A look may take as long as a commit does, and a quarter of the lease at most, since each late one begins the watch
  // over the others anew.
  options.look_gap_max = std::max(options.lease / 4, 10 * absl::Milliseconds(cluster.look_interval_ms()));
  std::vector<storage::PostgresOptions> all(static_cast<size_t>(databases), options);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].conninfo = settings.database(static_cast<int>(i)).conninfo();
    all[i].part = {static_cast<uint32_t>(i), static_cast<uint32_t>(databases)};
  }
  return all;
}

absl::StatusOr<std::string> ReadClusterSecret(const Config& config) {
  const std::string& path = config.postgres().cluster().secret_file();
  if (path.empty()) return "";
  absl::StatusOr<std::string> secret = ReadSmallFile(path, kSecretBytesMax);
  if (!secret.ok()) {
    return absl::Status(secret.status().code(),
                        absl::StrCat("postgres.cluster.secret_file: ", secret.status().message()));
  }
  absl::StripAsciiWhitespace(&*secret);
  if (secret->size() < kSecretBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("postgres.cluster.secret_file: ", path, " has ", secret->size(),
                                                   " bytes; it must have ", kSecretBytesMin, " or more"));
  }
  for (const char c : *secret) {
    if (c > ' ' && c <= '~') continue;
    return absl::InvalidArgumentError(
        absl::StrCat("postgres.cluster.secret_file: ", path, " has characters other than visible ones of ASCII"));
  }
  return secret;
}

namespace {

storage::LoggedStoreOptions LoggedOptionsOf(const Config& config, storage::Observer* observer,
                                            std::function<void(const absl::Status&)> on_failure) {
  const auto& settings = config.storage();
  storage::LoggedStoreOptions options;
  options.logs = static_cast<uint32_t>(config.actors().executors());
  options.fold_every = absl::Milliseconds(settings.fold_interval_ms());
  options.fold_bytes = static_cast<size_t>(settings.fold_bytes());
  options.unfolded_bytes_max = static_cast<size_t>(settings.unfolded_bytes_max());
  options.on_failure = std::move(on_failure);
  options.observer = observer;
  return options;
}

absl::StatusOr<OpenedStore> OpenInPostgres(const Config& config, storage::Observer* observer,
                                           const std::function<void(const absl::Status&)>& on_failure) {
  const absl::StatusOr<std::string> secret = ReadClusterSecret(config);
  if (!secret.ok()) return secret.status();
  std::vector<storage::PostgresOptions> databases = PostgresOptionsOf(config);
  for (storage::PostgresOptions& database : databases) {
    database.on_failure = on_failure;
    database.cluster_mark = secret->empty() ? "" : HashOf(*secret);
  }
  auto all_rows = storage::OpenDatabases(databases);
  if (!all_rows.ok()) return all_rows.status();
  OpenedStore opened;
  std::vector<std::unique_ptr<storage::Store>> parts;
  for (std::unique_ptr<storage::PostgresStore>& rows : *all_rows) {
    opened.rows.push_back(rows.get());
    std::unique_ptr<storage::CommitLogs> logs = rows->NewCommitLogs();
    storage::LoggedStoreOptions options = LoggedOptionsOf(config, observer, on_failure);
    // Bounds of the node as a whole are shared out; each part folds by itself.
    options.logs /= static_cast<uint32_t>(databases.size());
    options.fold_bytes /= databases.size();
    options.unfolded_bytes_max /= databases.size();
    options.first_log = rows->first_log();
    auto logged = storage::LoggedStore::Open(std::move(rows), std::move(logs), std::move(options));
    if (!logged.ok()) return logged.status();
    opened.logged.push_back(logged->get());
    parts.push_back(*std::move(logged));
  }
  opened.store =
      parts.size() == 1 ? std::move(parts.front()) : std::make_unique<storage::DividedStore>(std::move(parts));
  return opened;
}

// Opens the archive, if there is to be one. What the last run left in the logs is archived on return.
absl::StatusOr<std::unique_ptr<storage::Archiver>> OpenArchive(const Config& config, uint64_t run) {
  if (!config.backup().archive_log()) {
    if (absl::Status status = storage::Archiver::EndLine(config.data_dir()); !status.ok()) return status;
    return nullptr;
  }
  storage::ArchiverOptions options;
  options.directory = config.backup().directory();
  options.data_dir = config.data_dir();
  options.run = run;
  options.interval = absl::Milliseconds(config.backup().archive_interval_ms());
  options.file_bytes = static_cast<uint64_t>(config.backup().archive_file_bytes());
  options.random = RandomBits;
  return storage::Archiver::Open(std::move(options));
}

absl::StatusOr<std::unique_ptr<storage::Backups>> OpenBackups(const Config& config, storage::Store* below,
                                                              storage::LoggedStore* store,
                                                              storage::Archiver* archiver) {
  const auto& settings = config.backup();
  storage::BackupsOptions options;
  options.directory = settings.directory();
  if (settings.every_ms() > 0) options.every = absl::Milliseconds(settings.every_ms());
  options.keep = settings.keep();
  options.disk_reserve_bytes = static_cast<uint64_t>(settings.disk_reserve_bytes());
  options.free_bytes = storage::FreeBytesOf(settings.directory());
  storage::RocksDbCopiesOptions copies;
  copies.directory = storage::CopiesPath(settings.directory());
  copies.store = below;
  copies.rate_bytes = static_cast<uint64_t>(settings.bytes_per_second_max());
  options.open_to_read = [directory = copies.directory] {
    return storage::OpenRocksDbCopies({.directory = directory});
  };
  return storage::Backups::Open(std::move(options), store, archiver,
                                [copies] { return storage::OpenRocksDbCopies(copies); });
}

}  // namespace

absl::StatusOr<OpenedStore> OpenStore(const Config& config, storage::Observer* observer,
                                      std::function<void(const absl::Status&)> on_failure) {
  if (config.postgres().database_size() > 0) return OpenInPostgres(config, observer, on_failure);
  storage::RocksDbOptions below_options = RocksDbOptionsOf(config);
  below_options.observer = observer;
  // A store of a version before this has no commit logs.
  below_options.log_above = storage::FileCommitLogs::Exist(config.data_dir());
  below_options.sync = !config.testing().sync_off();
  below_options.lose_unsynced_seed = LoseUnsyncedSeed(config);

  storage::FileCommitLogOptions logs = LogOptionsOf(config);
  logs.faults = {below_options.sync, below_options.lose_unsynced_seed};

  storage::LoggedStoreOptions options = LoggedOptionsOf(config, observer, std::move(on_failure));

  auto opened_below = storage::OpenRocksDbStore(below_options);
  if (!opened_below.ok()) return opened_below.status();
  storage::Store* const below = opened_below->get();
  logs.keep_room = [below] { return below->DiskFull(); };

  OpenedStore opened;
  auto archiver = OpenArchive(config, logs.run);
  if (!archiver.ok()) return archiver.status();
  opened.archiver = *std::move(archiver);
  storage::ArchiveMarks* marks = nullptr;
  if (opened.archiver != nullptr) {
    marks = opened.archiver->marks();
    options.overloaded = [marks] { return marks->behind(); };
  }
  const uint32_t executors = options.logs;
  auto store = storage::LoggedStore::Open(
      *std::move(opened_below), std::make_unique<storage::FileCommitLogs>(std::move(logs), marks), std::move(options));
  if (!store.ok()) return store.status();
  storage::LoggedStore* const logged = store->get();
  opened.store = *std::move(store);
  if (opened.archiver != nullptr) {
    if (absl::Status status = opened.archiver->Start(executors); !status.ok()) return status;
  }
  if (config.backup().directory().empty()) return opened;
  auto backups = OpenBackups(config, below, logged, opened.archiver.get());
  if (!backups.ok()) return backups.status();
  opened.backups = *std::move(backups);
  return opened;
}

absl::Status InitCluster(const Config& config) {
  if (config.postgres().database_size() == 0) {
    return absl::InvalidArgumentError("the configuration has no postgres.database");
  }
  if (absl::Status status = storage::InitDatabases(PostgresOptionsOf(config)); !status.ok()) return status;
  std::printf("the tables of the cluster are there\n");
  return absl::OkStatus();
}

absl::Status RestoreStore(const Config& config, const std::string& directory, std::optional<absl::Time> at) {
  if (absl::Status status = storage::CheckBackupDirectory(directory, config.data_dir()); !status.ok()) return status;
  auto copies = storage::OpenRocksDbCopies({.directory = storage::CopiesPath(directory)});
  if (!copies.ok()) return copies.status();
  storage::RestoreOptions options;
  options.directory = directory;
  options.data_dir = config.data_dir();
  options.at = at;
  options.copies = copies->get();
  options.open_store = [&config](const std::string& data_dir) {
    storage::RocksDbOptions store = RocksDbOptionsOf(config);
    store.data_dir = data_dir;
    store.log_above = true;
    return storage::OpenRocksDbStore(store);
  };
  const absl::StatusOr<storage::Restored> restored = storage::Restore(options);
  if (!restored.ok()) return restored.status();
  std::printf("restored %s from backup %u of %s", config.data_dir().c_str(), restored->backup.id,
              storage::TimeText(restored->backup.time).c_str());
  if (restored->batches > 0) {
    std::printf(" and %llu batches of the archive, the last one of %s",
                static_cast<unsigned long long>(restored->batches), storage::TimeText(*restored->last).c_str());
  }
  std::printf("\n");
  return absl::OkStatus();
}

}  // namespace holdfast::service
