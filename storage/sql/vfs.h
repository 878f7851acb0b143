// SQLite's file layer over a PageSource: one VFS for the process, whose files belong to the connection that opens them.
//
// SQLite is set up so that it needs only two kinds of file: the database, and temporary files (for sorts, and for the
// part of an ephemeral table that does not fit into its cache), which are bounded. Journals are in SQLite's own memory.
// Locks and syncs do nothing: an object has one connection, and the commit pipeline syncs.
//
// A database without pages reads as the one page of a new database, so that the settings of its creation (incremental
// auto-vacuum) hold, and an object whose SQL only reads stores nothing.
//
// Errors: the first error of the page source stays in error(). From then on, or once GiveUp() was called, SQLite's
// writes are ignored: SQLite would play its journal back, with some of the pages changed already. The connection is
// then to be closed and the turn's pages to be dropped. If only reads have failed, ForgetError() lets the connection go
// on.

#ifndef HOLDFAST_STORAGE_SQL_VFS_H_
#define HOLDFAST_STORAGE_SQL_VFS_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sql/budget.h"
#include "storage/sql/heap.h"
#include "storage/sql/page_source.h"
#include "storage/sql/temp_file.h"

namespace holdfast::storage::sql {

// Returns the name of the VFS, for sqlite3_open_v2. The first call registers the VFS.
const char* VfsName();

// The files that the VFS serves to one connection.
class Files {
 public:
  // Everything pointed to must outlive this, and this the connection. `temp_space` may be null: temporary files are
  // then in memory.
  Files(PageSource* pages, Heap* heap, Budget* budget, TempSpace* temp_space, uint64_t temp_bytes_max)
      : pages_(pages), heap_(heap), budget_(budget), temp_{temp_space, temp_bytes_max, budget} {}
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // SQLite names no connection when it opens a temporary file, or asks for the time. Each call into SQLite is therefore
  // made within a Scope, which sets the files and the heap that the calls of this thread use.
  class Scope {
   public:
    explicit Scope(Files* files);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    const Heap::Scope heap_;
    Files* const before_;
  };

  const absl::Status& error() const { return error_; }
  void ForgetError() { error_ = absl::OkStatus(); }
  void GiveUp() { given_up_ = true; }
  // Returns which bound a temporary file has reached since the last call.
  TempFull TakeTempFull() { return std::exchange(temp_.full, TempFull::kNo); }

  // --- For the VFS. The results are SQLite's.
  int ReadDatabase(void* buffer, size_t bytes, uint64_t offset);
  int WriteDatabase(const void* buffer, size_t bytes, uint64_t offset);
  int TruncateDatabase(uint64_t bytes);
  int DatabaseSize(int64_t* bytes);
  TempUse* temp() { return &temp_; }
  absl::Time Now() { return budget_->Now(); }

 private:
  int Fail(const absl::Status& error, int result);

  PageSource* const pages_;
  Heap* const heap_;
  Budget* const budget_;
  TempUse temp_;
  bool given_up_ = false;
  absl::Status error_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_VFS_H_
