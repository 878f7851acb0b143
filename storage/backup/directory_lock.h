// A lock on a directory, by the file LOCK in it: one process at a time has it, and it goes with the process.

#ifndef HOLDFAST_STORAGE_BACKUP_DIRECTORY_LOCK_H_
#define HOLDFAST_STORAGE_BACKUP_DIRECTORY_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace holdfast::storage {

class DirectoryLock {
 public:
  // Takes the lock, and makes the directory if it is missing. Errors: UNAVAILABLE if another process has it;
  // RESOURCE_EXHAUSTED if the disk is full; FAILED_PRECONDITION if the directory can't be written.
  static absl::StatusOr<DirectoryLock> Take(const std::string& directory);

  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_BACKUP_DIRECTORY_LOCK_H_
