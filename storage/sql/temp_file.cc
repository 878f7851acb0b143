#include "storage/sql/temp_file.h"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast::storage::sql {

TempFile::~TempFile() {
  use_->memory_bytes -= chunks_.size() * kChunkBytes;
  use_->file_bytes -= reserved_;
  if (reserved_ > 0) use_->space->Release(reserved_);
  if (file_ >= 0) use_->space->CloseFile(file_);
}

int TempFile::Read(char* buffer, size_t bytes, uint64_t offset) const {
  if (!use_->budget->Page()) return SQLITE_IOERR_READ;
  const size_t there = offset >= size_ ? 0 : static_cast<size_t>(std::min<uint64_t>(bytes, size_ - offset));
  for (size_t done = 0; done < there;) {
    const uint64_t at = offset + done;
    if (file_ >= 0) {
      const ssize_t got = pread(file_, buffer + done, there - done, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return SQLITE_IOERR_READ;
      done += static_cast<size_t>(got);
      continue;
    }
    const size_t part = std::min(there - done, kChunkBytes - at % kChunkBytes);
    std::memcpy(buffer + done, chunks_[at / kChunkBytes].get() + at % kChunkBytes, part);
    done += part;
  }
  if (there == bytes) return SQLITE_OK;
  std::memset(buffer + there, 0, bytes - there);
  return SQLITE_IOERR_SHORT_READ;
}

bool TempFile::GrowMemory(uint64_t bytes) {
  const uint64_t bytes_max = use_->space == nullptr ? use_->bytes_max : TempUse::kMemoryBytesMax;
  while (chunks_.size() * kChunkBytes < bytes) {
    if (use_->memory_bytes + kChunkBytes > bytes_max) return false;
    use_->memory_bytes += kChunkBytes;
    chunks_.push_back(std::make_unique<char[]>(kChunkBytes));
  }
  return true;
}

TempFull TempFile::GrowFile(uint64_t bytes) {
  while (reserved_ < bytes) {
    if (use_->file_bytes + kChunkBytes > use_->bytes_max) return TempFull::kConnection;
    if (!use_->space->Reserve(kChunkBytes)) return TempFull::kSpace;
    use_->file_bytes += kChunkBytes;
    reserved_ += kChunkBytes;
  }
  return TempFull::kNo;
}

int TempFile::WriteFile(const char* buffer, size_t bytes, uint64_t offset) {
  if (const TempFull full = GrowFile(offset + bytes); full != TempFull::kNo) {
    use_->full = full;
    return SQLITE_FULL;
  }
  for (size_t done = 0; done < bytes;) {
    const ssize_t wrote = pwrite(file_, buffer + done, bytes - done, static_cast<off_t>(offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == ENOSPC) {
      use_->full = TempFull::kSpace;
      return SQLITE_FULL;
    }
    if (wrote <= 0) return SQLITE_IOERR_WRITE;
    done += static_cast<size_t>(wrote);
  }
  return SQLITE_OK;
}

int TempFile::MoveToFile() {
  if (use_->space == nullptr || use_->budget->is_short()) {
    use_->full = TempFull::kConnection;
    return SQLITE_FULL;
  }
  file_ = use_->space->OpenFile();
  if (file_ < 0) {
    // The space has as many files as it may have, which counts as full.
    if (errno != EMFILE) return SQLITE_CANTOPEN;
    use_->full = TempFull::kSpace;
    return SQLITE_FULL;
  }
  for (size_t i = 0; i < chunks_.size() && i * kChunkBytes < size_; ++i) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(kChunkBytes, size_ - i * kChunkBytes));
    if (const int result = WriteFile(chunks_[i].get(), part, i * kChunkBytes); result != SQLITE_OK) return result;
  }
  use_->memory_bytes -= chunks_.size() * kChunkBytes;
  chunks_.clear();
  return SQLITE_OK;
}

int TempFile::Write(const char* buffer, size_t bytes, uint64_t offset) {
  if (!use_->budget->Page()) return SQLITE_IOERR_WRITE;
  if (file_ < 0 && !GrowMemory(offset + bytes)) {
    if (const int result = MoveToFile(); result != SQLITE_OK) return result;
  }
  if (file_ >= 0) {
    if (const int result = WriteFile(buffer, bytes, offset); result != SQLITE_OK) return result;
  } else {
    for (size_t done = 0; done < bytes;) {
      const uint64_t at = offset + done;
      const size_t part = std::min(bytes - done, kChunkBytes - at % kChunkBytes);
      std::memcpy(chunks_[at / kChunkBytes].get() + at % kChunkBytes, buffer + done, part);
      done += part;
    }
  }
  size_ = std::max(size_, offset + bytes);
  return SQLITE_OK;
}

int TempFile::Truncate(uint64_t bytes) {
  size_ = std::min(size_, bytes);
  while (!chunks_.empty() && (chunks_.size() - 1) * kChunkBytes >= size_) {
    chunks_.pop_back();
    use_->memory_bytes -= kChunkBytes;
  }
  if (file_ < 0) return SQLITE_OK;
  if (ftruncate(file_, static_cast<off_t>(size_)) != 0) return SQLITE_IOERR_TRUNCATE;
  while (reserved_ >= size_ + kChunkBytes) {
    reserved_ -= kChunkBytes;
    use_->file_bytes -= kChunkBytes;
    use_->space->Release(kChunkBytes);
  }
  return SQLITE_OK;
}

}  // namespace holdfast::storage::sql
