#include "storage/rocksdb/rocksdb_copies.h"

#include <atomic>
#include <cstdarg>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rocksdb/file_system.h"
#include "rocksdb/utilities/backup_engine.h"
#include "storage/base/check.h"
#include "storage/base/group_access.h"
#include "storage/rocksdb/file_system.h"
#include "storage/rocksdb/open_db.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/store_copy.h"

namespace holdfast::storage {
namespace {

using rocksdb::BackupEngine;
using rocksdb::BackupEngineReadOnly;
using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOStatus;

// How often Watch::grown is called.
constexpr uint64_t kGrownBytes = 1 << 20;

// The file system of the directory of copies. RocksDB lists the files of the store, with the bytes of each that belong
// to the copy, before it makes the first file in that directory: this notices when it does.
class CopiesFileSystem : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "HoldfastCopies"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    if (armed_.exchange(false)) settled_();
    return target()->NewWritableFile(path, options, result, debug);
  }

  // Before a copy is made.
  void Arm(std::function<void()> settled) {
    settled_ = std::move(settled);
    armed_ = true;
  }

 private:
  std::function<void()> settled_;
  std::atomic<bool> armed_ = false;
};

absl::Status Named(const std::string& directory, const rocksdb::Status& status) {
  if (status.IsIncomplete()) return absl::CancelledError("the copy was stopped");
  const absl::Status named = FromRocksDb(status);
  const auto code = absl::IsInternal(named) ? absl::StatusCode::kUnavailable : named.code();
  return absl::Status(code, absl::StrCat(directory, ": ", named.message()));
}

class RocksDbCopies final : public StoreCopies {
 public:
  explicit RocksDbCopies(const RocksDbCopiesOptions& options)
      : directory_(options.directory),
        wal_bytes_max_(options.wal_bytes_max),
        store_(dynamic_cast<OpenDb*>(options.store)),
        db_env_(NewRocksDbEnv(std::nullopt)),
        file_system_(std::make_shared<CopiesFileSystem>(db_env_->GetFileSystem())),
        env_(rocksdb::NewCompositeEnv(file_system_)),
        options_(options.directory, env_.get()) {
    HOLDFAST_CHECK((options.store == nullptr) == (store_ == nullptr), "a store that is not on RocksDB");
    options_.share_table_files = true;
    options_.share_files_with_checksum = true;
    options_.backup_rate_limit = options.rate_bytes;
    options_.callback_trigger_interval_size = kGrownBytes;
    options_.sync = true;
  }

  absl::Status Open() {
    if (store_ == nullptr) {
      BackupEngineReadOnly* engine = nullptr;
      const rocksdb::Status status = BackupEngineReadOnly::Open(options_, db_env_.get(), &engine);
      reader_.reset(engine);
      return status.ok() ? absl::OkStatus() : Named(directory_, status);
    }
    std::error_code error;
    if (std::filesystem::create_directories(directory_, error)) ShareWithGroup(directory_);
    BackupEngine* engine = nullptr;
    const rocksdb::Status status = BackupEngine::Open(options_, db_env_.get(), &engine);
    engine_.reset(engine);
    return status.ok() ? absl::OkStatus() : Named(directory_, status);
  }

  absl::Status Prepare() override {
    // Otherwise Create does it, while the store waits.
    (void)engine_->GarbageCollect();
    const rocksdb::Status status = store_->FlushLogsOver(wal_bytes_max_);
    return status.ok() ? absl::OkStatus() : FromRocksDb(status);
  }

  absl::StatusOr<Copy> Create(const std::string& record, const Watch& watch) override {
    uint64_t bytes = 0;
    rocksdb::CreateBackupOptions options;
    // The thread that copies is RocksDB's own; it gives way to all others.
    options.decrease_background_thread_cpu_priority = true;
    options.background_thread_cpu_priority = rocksdb::CpuPriority::kLow;
    options.progress_callback = [&] { watch.grown(bytes += kGrownBytes); };
    file_system_->Arm(watch.settled);
    rocksdb::BackupID id = 0;
    const rocksdb::Status status = engine_->CreateNewBackupWithMetadata(options, store_->db(), record, &id);
    file_system_->Arm([] {});
    if (!status.ok()) {
      // The remains of the failed copy would take room until the next one, which may never come for want of room.
      (void)engine_->GarbageCollect();
      return Named(directory_, status);
    }
    rocksdb::BackupInfo info;
    const rocksdb::Status found = engine_->GetBackupInfo(id, &info);
    if (!found.ok()) return Named(directory_, found);
    return Copy{id, info.size, info.app_metadata};
  }

  absl::Status Verify(uint32_t id) override {
    const rocksdb::Status status = Reads()->VerifyBackup(id, /*verify_with_checksum=*/true);
    if (status.ok()) return absl::OkStatus();
    // A file that is gone, and a size that is wrong, are damage too.
    if (status.IsNotFound() || status.IsPathNotFound() || status.IsCorruption()) {
      return absl::DataLossError(absl::StrCat(directory_, ": copy ", id, ": ", status.ToString()));
    }
    return Named(directory_, status);
  }

  absl::Status Delete(uint32_t id) override {
    const rocksdb::Status status = engine_->DeleteBackup(id);
    return status.ok() ? absl::OkStatus() : Named(directory_, status);
  }

  std::vector<Copy> List() override {
    std::vector<rocksdb::BackupInfo> infos;
    Reads()->GetBackupInfo(&infos);
    std::vector<Copy> copies;
    copies.reserve(infos.size());
    for (const rocksdb::BackupInfo& info : infos) copies.push_back({info.backup_id, info.size, info.app_metadata});
    return copies;
  }

  absl::Status Restore(uint32_t id, const std::string& data_dir) override {
    const rocksdb::Status status =
        Reads()->RestoreDBFromBackup(rocksdb::RestoreOptions(), id, data_dir, /*wal_dir=*/data_dir);
    return status.ok() ? absl::OkStatus() : Named(directory_, status);
  }

  absl::StatusOr<std::unique_ptr<Store>> OpenCopy(uint32_t id,
                                                  absl::FunctionRef<bool(absl::string_view name)> wanted) override {
    rocksdb::BackupInfo info;
    const rocksdb::Status found = Reads()->GetBackupInfo(id, &info, /*include_file_details=*/true);
    if (!found.ok()) return Named(directory_, found);
    return OpenStoreCopy(info.env_for_open, info.name_for_open, wanted);
  }

  void Stop() override {
    if (engine_ != nullptr) engine_->StopBackup();
  }

 private:
  rocksdb::BackupEngineReadOnlyBase* Reads() const {
    if (reader_ != nullptr) return reader_.get();
    return engine_.get();
  }

  const std::string directory_;
  const uint64_t wal_bytes_max_;
  OpenDb* const store_;
  const std::unique_ptr<rocksdb::Env> db_env_;
  const std::shared_ptr<CopiesFileSystem> file_system_;
  const std::unique_ptr<rocksdb::Env> env_;
  rocksdb::BackupEngineOptions options_;
  std::unique_ptr<BackupEngine> engine_;
  std::unique_ptr<BackupEngineReadOnly> reader_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StoreCopies>> OpenRocksDbCopies(const RocksDbCopiesOptions& options) {
  auto copies = std::make_unique<RocksDbCopies>(options);
  if (absl::Status status = copies->Open(); !status.ok()) return status;
  return copies;
}

}  // namespace holdfast::storage
