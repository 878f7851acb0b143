#include "service/open_store.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/base/log.h"
#include "storage/fold/logged_store.h"
#include "storage/log/file_commit_logs.h"
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

}  // namespace

absl::StatusOr<std::unique_ptr<storage::Store>> OpenStore(const Config& config, storage::Observer* observer,
                                                          std::function<void(const absl::Status&)> on_failure) {
  const auto& settings = config.storage();
  storage::RocksDbOptions below;
  below.data_dir = config.data_dir();
  below.block_cache_bytes = settings.block_cache_bytes();
  below.memtable_bytes = settings.memtable_bytes();
  below.wal_bytes_max = settings.wal_bytes_max();
  below.disk_reserve_bytes = settings.disk_reserve_bytes();
  below.open_tables_max = settings.open_tables_max();
  below.observer = observer;
  // A store of a version before this has no commit logs.
  below.log_above = storage::FileCommitLogs::Exist(config.data_dir());
  below.sync = !config.testing().sync_off();
  below.lose_unsynced_seed = LoseUnsyncedSeed(config);

  storage::FileCommitLogOptions logs;
  logs.directory = config.data_dir();
  logs.run = RandomBits();
  logs.segment_bytes =
      static_cast<uint64_t>(settings.log_segment_bytes()) / storage::kLogBlockBytes * storage::kLogBlockBytes;
  logs.segments_max = std::max(kSegmentsMin, static_cast<int>(settings.log_bytes_max() / settings.log_segment_bytes()));
  logs.faults = {below.sync, below.lose_unsynced_seed};

  storage::LoggedStoreOptions options;
  options.logs = static_cast<uint32_t>(config.actors().executors());
  options.fold_every = absl::Milliseconds(settings.fold_interval_ms());
  options.fold_bytes = static_cast<size_t>(settings.fold_bytes());
  options.unfolded_bytes_max = static_cast<size_t>(settings.unfolded_bytes_max());
  options.on_failure = std::move(on_failure);
  options.observer = observer;

  auto store = storage::OpenRocksDbStore(below);
  if (!store.ok()) return store.status();
  logs.keep_room = [below = store->get()] { return below->DiskFull(); };
  return storage::LoggedStore::Open(*std::move(store), std::make_unique<storage::FileCommitLogs>(std::move(logs)),
                                    std::move(options));
}

}  // namespace holdfast::service
