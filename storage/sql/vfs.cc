#include "storage/sql/vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "storage/sql/temp_file.h"

namespace holdfast::storage::sql {
namespace {

thread_local Files* current_files = nullptr;

// The pages of a new database with incremental auto-vacuum.
const std::string& EmptyDatabase() {
  static const auto* const page = [] {
    auto* made = new std::string();
    sqlite3* db = nullptr;
    if (sqlite3_open(":memory:", &db) == SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA user_version=0", nullptr,
                     nullptr, nullptr) == SQLITE_OK) {
      sqlite3_int64 bytes = 0;
      unsigned char* image = sqlite3_serialize(db, "main", &bytes, 0);
      if (image != nullptr) made->assign(reinterpret_cast<const char*>(image), static_cast<size_t>(bytes));
      sqlite3_free(image);
    }
    sqlite3_close(db);
    return made;
  }();
  return *page;
}

// SQLite allocates it; `temp` is null for the database.
struct File {
  sqlite3_file base;
  Files* files;
  TempFile* temp;
};

File* AsFile(sqlite3_file* file) { return reinterpret_cast<File*>(file); }

int Close(sqlite3_file* file) {
  delete AsFile(file)->temp;
  return SQLITE_OK;
}

int Read(sqlite3_file* file, void* buffer, int bytes, sqlite3_int64 offset) {
  const File& f = *AsFile(file);
  if (f.temp == nullptr)
    return f.files->ReadDatabase(buffer, static_cast<size_t>(bytes), static_cast<uint64_t>(offset));
  return f.temp->Read(static_cast<char*>(buffer), static_cast<size_t>(bytes), static_cast<uint64_t>(offset));
}

int Write(sqlite3_file* file, const void* buffer, int bytes, sqlite3_int64 offset) {
  const File& f = *AsFile(file);
  if (f.temp == nullptr) {
    return f.files->WriteDatabase(buffer, static_cast<size_t>(bytes), static_cast<uint64_t>(offset));
  }
  return f.temp->Write(static_cast<const char*>(buffer), static_cast<size_t>(bytes), static_cast<uint64_t>(offset));
}

int Truncate(sqlite3_file* file, sqlite3_int64 bytes) {
  const File& f = *AsFile(file);
  return f.temp == nullptr ? f.files->TruncateDatabase(static_cast<uint64_t>(bytes))
                           : f.temp->Truncate(static_cast<uint64_t>(bytes));
}

int FileSize(sqlite3_file* file, sqlite3_int64* bytes) {
  const File& f = *AsFile(file);
  if (f.temp != nullptr) {
    *bytes = static_cast<sqlite3_int64>(f.temp->size());
    return SQLITE_OK;
  }
  int64_t size = 0;
  const int result = f.files->DatabaseSize(&size);
  *bytes = size;
  return result;
}

int Sync(sqlite3_file*, int) { return SQLITE_OK; }
int Lock(sqlite3_file*, int) { return SQLITE_OK; }
int CheckReservedLock(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int SectorSize(sqlite3_file*) { return static_cast<int>(kPageBytes); }
int DeviceCharacteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

// Version 1: without shared memory (no WAL) and without memory maps.
constexpr sqlite3_io_methods kIoMethods = {
    .iVersion = 1,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = FileSize,
    .xLock = Lock,
    .xUnlock = Lock,
    .xCheckReservedLock = CheckReservedLock,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = DeviceCharacteristics,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int Open(sqlite3_vfs*, const char*, sqlite3_file* file, int flags, int* out_flags) {
  constexpr int kTemporary =
      SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;
  File* opened = AsFile(file);
  *opened = {};
  if (current_files == nullptr || (flags & (SQLITE_OPEN_MAIN_DB | kTemporary)) == 0) return SQLITE_CANTOPEN;
  opened->files = current_files;
  if ((flags & kTemporary) != 0) opened->temp = new TempFile(current_files->temp());
  opened->base.pMethods = &kIoMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

// There is no journal, super-journal or WAL to delete or to find.
int Delete(sqlite3_vfs*, const char*, int) { return SQLITE_OK; }
int Access(sqlite3_vfs*, const char*, int, int* result) {
  *result = 0;
  return SQLITE_OK;
}
int FullPathname(sqlite3_vfs*, const char* name, int size, char* full) {
  sqlite3_snprintf(size, full, "%s", name);
  return SQLITE_OK;
}
int Randomness(sqlite3_vfs* vfs, int bytes, char* buffer) {
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  return system->xRandomness(system, bytes, buffer);
}
int Sleep(sqlite3_vfs*, int) { return 0; }
int LastError(sqlite3_vfs*, int, char*) { return 0; }
int CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* julian_ms) {
  constexpr sqlite3_int64 kUnixEpochJulianMs = 210866760000000;
  if (current_files == nullptr) return SQLITE_ERROR;
  *julian_ms = kUnixEpochJulianMs + absl::ToUnixMillis(current_files->Now());
  return SQLITE_OK;
}
int CurrentTime(sqlite3_vfs* vfs, double* julian_days) {
  sqlite3_int64 julian_ms = 0;
  const int result = CurrentTimeInt64(vfs, &julian_ms);
  *julian_days = static_cast<double>(julian_ms) / 86400000.0;
  return result;
}

}  // namespace

const char* VfsName() {
  static const char* const name = [] {
    auto* vfs = new sqlite3_vfs{};
    vfs->iVersion = 2;
    vfs->szOsFile = sizeof(File);
    vfs->mxPathname = 64;
    vfs->zName = "holdfast";
    vfs->pAppData = sqlite3_vfs_find(nullptr);
    vfs->xOpen = Open;
    vfs->xDelete = Delete;
    vfs->xAccess = Access;
    vfs->xFullPathname = FullPathname;
    vfs->xRandomness = Randomness;
    vfs->xSleep = Sleep;
    vfs->xCurrentTime = CurrentTime;
    vfs->xGetLastError = LastError;
    vfs->xCurrentTimeInt64 = CurrentTimeInt64;
    sqlite3_vfs_register(vfs, /*makeDflt=*/0);
    return vfs->zName;
  }();
  return name;
}

Files::Scope::Scope(Files* files) : heap_(files->heap_), before_(std::exchange(current_files, files)) {}

Files::Scope::~Scope() { current_files = before_; }

int Files::Fail(const absl::Status& error, int result) {
  if (error_.ok()) error_ = error;
  return result;
}

int Files::ReadDatabase(void* buffer, size_t bytes, uint64_t offset) {
  if (!error_.ok() || given_up_ || !budget_->Page()) return SQLITE_IOERR_READ;
  const absl::StatusOr<uint32_t> count = pages_->PageCount();
  if (!count.ok()) return Fail(count.status(), SQLITE_IOERR_READ);
  auto* to = static_cast<char*>(buffer);
  char page[kPageBytes];
  // SQLite reads whole pages, and parts of the first.
  while (bytes > 0) {
    const uint64_t index = offset / kPageBytes;
    const size_t within = offset % kPageBytes;
    const size_t part = std::min(bytes, kPageBytes - within);
    if (*count == 0 && index == 0 && !EmptyDatabase().empty()) {
      std::memcpy(to, EmptyDatabase().data() + within, part);
    } else if (index >= *count) {
      std::memset(to, 0, bytes);
      return SQLITE_IOERR_SHORT_READ;
    } else if (part == kPageBytes) {
      const absl::Status status = pages_->ReadPage(static_cast<uint32_t>(index + 1), to);
      if (!status.ok()) return Fail(status, SQLITE_IOERR_READ);
    } else {
      const absl::Status status = pages_->ReadPage(static_cast<uint32_t>(index + 1), page);
      if (!status.ok()) return Fail(status, SQLITE_IOERR_READ);
      std::memcpy(to, page + within, part);
    }
    to += part;
    offset += part;
    bytes -= part;
  }
  return SQLITE_OK;
}

int Files::WriteDatabase(const void* buffer, size_t bytes, uint64_t offset) {
  if (!error_.ok() || given_up_) return SQLITE_OK;
  if (bytes != kPageBytes || offset % kPageBytes != 0) {
    return Fail(absl::InternalError("SQLite writes something else than a page"), SQLITE_IOERR_WRITE);
  }
  // If the write spends the budget, the next read fails instead of the write: a write that fails cannot be undone.
  (void)budget_->Page();
  const absl::Status status =
      pages_->WritePage(static_cast<uint32_t>(offset / kPageBytes + 1), {static_cast<const char*>(buffer), bytes});
  return status.ok() ? SQLITE_OK : Fail(status, SQLITE_IOERR_WRITE);
}

int Files::TruncateDatabase(uint64_t bytes) {
  if (!error_.ok() || given_up_) return SQLITE_OK;
  const absl::Status status = pages_->Truncate(static_cast<uint32_t>((bytes + kPageBytes - 1) / kPageBytes));
  return status.ok() ? SQLITE_OK : Fail(status, SQLITE_IOERR_TRUNCATE);
}

int Files::DatabaseSize(int64_t* bytes) {
  if (!error_.ok() || given_up_) return SQLITE_IOERR_FSTAT;
  const absl::StatusOr<uint32_t> count = pages_->PageCount();
  if (!count.ok()) return Fail(count.status(), SQLITE_IOERR_FSTAT);
  *bytes = *count == 0 ? static_cast<int64_t>(EmptyDatabase().size())
                       : static_cast<int64_t>(*count) * static_cast<int64_t>(kPageBytes);
  return SQLITE_OK;
}

}  // namespace holdfast::storage::sql
