// SQLite's file layer over a PageSource: one VFS for the process, whose files belong to the connection that opens them.
//
// SQLite is run so that it needs two kinds of file only: the database, and temporary ones (what it sorts, and what of
// an ephemeral table does not fit into its cache), which are bounded. Journals are SQLite's own memory. Locks and syncs
// do nothing: an object has one connection, and the commit pipeline syncs.
//
// A database without pages shows as the one page that a new one has, so that what is set at its creation (incremental
// auto-vacuum) is set, and an object whose SQL only reads stores nothing.
//
// Errors: the first of the page source stays in error(), and from then on, or once GiveUp() was called, what SQLite
// writes is ignored: it would play its journal back, with some of the pages changed already. The connection is then to
// be closed and the turn's pages to be dropped. Where only reads have failed, ForgetError() lets it go on.

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

// Of the VFS, for sqlite3_open_v2; registered at the first call.
const char* VfsName();

// What the VFS serves to one connection.
class Files {
 public:
  // What is pointed to must outlive this, and this the connection. `temp_space` may be null: temporary files are
  // memory.
  Files(PageSource* pages, Heap* heap, Budget* budget, TempSpace* temp_space, uint64_t temp_bytes_max)
      : pages_(pages), heap_(heap), budget_(budget), temp_{temp_space, temp_bytes_max, budget} {}
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // SQLite names no connection when it opens a temporary file, or asks for the time. So each call into SQLite is made
  // within a Scope, which says whose files this thread means, and whose memory.
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
  // Whether something was written, or a temporary file full, since it was last asked.
  bool TakeWrote() { return std::exchange(wrote_, false); }
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
  bool wrote_ = false;
  bool given_up_ = false;
  absl::Status error_;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_VFS_H_
