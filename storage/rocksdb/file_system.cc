#include "storage/rocksdb/file_system.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "rocksdb/file_system.h"
#include "storage/base/group_access.h"
#include "storage/base/mutex.h"

namespace holdfast::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Makes files that the group may use if it may write their directory.
class SharedFiles : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "HoldfastFileSystem"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    return Share(path, target()->NewWritableFile(path, options, result, debug));
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override {
    return Share(path, target()->ReopenWritableFile(path, options, result, debug));
  }
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* result, IODebugContext* debug) override {
    return Share(path, target()->NewRandomRWFile(path, options, result, debug));
  }
  IOStatus LockFile(const std::string& path, const IOOptions& options, rocksdb::FileLock** lock,
                    IODebugContext* debug) override {
    return Share(path, target()->LockFile(path, options, lock, debug));
  }
  IOStatus NewLogger(const std::string& path, const IOOptions& options, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext* debug) override {
    return Share(path, target()->NewLogger(path, options, result, debug));
  }

 private:
  static IOStatus Share(const std::string& path, IOStatus made) {
    if (made.ok()) ShareWithGroup(path);
    return made;
  }
};

class OptionsFilesRefused : public SharedFiles {
 public:
  using SharedFiles::SharedFiles;

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    const absl::string_view name = absl::string_view(path).substr(path.rfind('/') + 1);
    if (absl::StartsWith(name, "OPTIONS-")) return IOStatus::NotSupported("Holdfast writes no OPTIONS files");
    return SharedFiles::NewWritableFile(path, options, result, debug);
  }
};

// The unsynced bytes of files that were closed, by path.
struct LostBytes {
  explicit LostBytes(uint64_t seed) : random(seed) {}

  Mutex mutex;
  std::map<std::string, std::string> tails ABSL_GUARDED_BY(mutex);
  std::mt19937_64 random ABSL_GUARDED_BY(mutex);
};

class UnsyncedFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  UnsyncedFile(std::unique_ptr<FSWritableFile> file, std::string path, LostBytes* lost)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), lost_(lost) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    tail_.append(data.data(), data.size());
    size_t torn = 0;
    {
      MutexLock lock(&lost_->mutex);
      if (lost_->random() % 8 == 0) torn = lost_->random() % (tail_.size() + 1);
    }
    return torn == 0 ? IOStatus::OK() : Write(torn, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = Write(tail_.size(), options, debug);
    return status.ok() ? target()->Sync(options, debug) : status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = Write(tail_.size(), options, debug);
    return status.ok() ? target()->Fsync(options, debug) : status;
  }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    const uint64_t written = target()->GetFileSize(options, debug);
    if (size >= written) {
      if (size - written < tail_.size()) tail_.resize(size - written);
      return IOStatus::OK();
    }
    tail_.clear();
    return target()->Truncate(size, options, debug);
  }
  uint64_t GetFileSize(const IOOptions& options, IODebugContext* debug) override {
    return target()->GetFileSize(options, debug) + tail_.size();
  }
  // Preallocation would leave zeros after the written bytes, which this mode is not to test.
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    if (!tail_.empty()) {
      MutexLock lock(&lost_->mutex);
      lost_->tails[path_] += std::exchange(tail_, {});
    }
    return target()->Close(options, debug);
  }

 private:
  IOStatus Write(size_t bytes, const IOOptions& options, IODebugContext* debug) {
    if (bytes == 0) return IOStatus::OK();
    IOStatus status = target()->Append(Slice(tail_.data(), bytes), options, debug);
    if (!status.ok()) return status;
    tail_.erase(0, bytes);
    return target()->Flush(options, debug);
  }

  const std::string path_;
  LostBytes* const lost_;
  std::string tail_;
};

class UnsyncedLost : public OptionsFilesRefused {
 public:
  UnsyncedLost(const std::shared_ptr<FileSystem>& target, uint64_t seed) : OptionsFilesRefused(target), lost_(seed) {}

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                           IODebugContext* debug) override {
    Forget(path);
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = OptionsFilesRefused::NewWritableFile(path, Buffered(options), &file, debug);
    if (status.ok()) *result = std::make_unique<UnsyncedFile>(std::move(file), path, &lost_);
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override {
    if (IOStatus status = Restore(path, debug); !status.ok()) return status;
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = SharedFiles::ReopenWritableFile(path, Buffered(options), &file, debug);
    if (status.ok()) *result = std::make_unique<UnsyncedFile>(std::move(file), path, &lost_);
    return status;
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path, const FileOptions& options,
                             std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override {
    Forget(path);
    Forget(old_path);
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = target()->ReuseWritableFile(path, old_path, Buffered(options), &file, debug);
    if (status.ok()) *result = std::make_unique<UnsyncedFile>(std::move(file), path, &lost_);
    return status;
  }
  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* debug) override {
    if (IOStatus status = Restore(path, debug); !status.ok()) return status;
    return target()->NewSequentialFile(path, options, result, debug);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* debug) override {
    if (IOStatus status = Restore(path, debug); !status.ok()) return status;
    return target()->NewRandomAccessFile(path, options, result, debug);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* debug) override {
    Forget(path);
    return target()->DeleteFile(path, options, debug);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    {
      MutexLock lock(&lost_.mutex);
      lost_.tails.erase(to);
      if (auto tail = lost_.tails.extract(from)) {
        tail.key() = to;
        lost_.tails.insert(std::move(tail));
      }
    }
    return target()->RenameFile(from, to, options, debug);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size,
                       IODebugContext* debug) override {
    IOStatus status = target()->GetFileSize(path, options, size, debug);
    MutexLock lock(&lost_.mutex);
    if (auto it = lost_.tails.find(path); status.ok() && it != lost_.tails.end()) *size += it->second.size();
    return status;
  }

 private:
  // Memory-mapped writes would bypass the buffer.
  static FileOptions Buffered(FileOptions options) {
    options.use_mmap_writes = false;
    return options;
  }
  void Forget(const std::string& path) {
    MutexLock lock(&lost_.mutex);
    lost_.tails.erase(path);
  }
  // Writes the bytes that were appended before the file was closed, since it is to be read now.
  IOStatus Restore(const std::string& path, IODebugContext* debug) {
    std::string tail;
    {
      MutexLock lock(&lost_.mutex);
      auto it = lost_.tails.find(path);
      if (it == lost_.tails.end()) return IOStatus::OK();
      tail = std::move(it->second);
      lost_.tails.erase(it);
    }
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = target()->ReopenWritableFile(path, FileOptions(), &file, debug);
    if (status.ok()) status = file->Append(tail, IOOptions(), debug);
    if (status.ok()) status = file->Close(IOOptions(), debug);
    return status;
  }

  LostBytes lost_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> NewRocksDbEnv(std::optional<uint64_t> lose_unsynced_seed) {
  std::shared_ptr<FileSystem> file_system;
  if (lose_unsynced_seed) {
    file_system = std::make_shared<UnsyncedLost>(FileSystem::Default(), *lose_unsynced_seed);
  } else {
    file_system = std::make_shared<OptionsFilesRefused>(FileSystem::Default());
  }
  return rocksdb::NewCompositeEnv(std::move(file_system));
}

}  // namespace holdfast::storage
