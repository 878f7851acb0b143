// The database of one object as SQLite's file layer sees it: pages, numbered from 1, all of one size.
//
// SQLite's file layer knows no more of the storage than this, so the same database can be run on the object's executor
// over memory, or on another thread over a copy.

#ifndef HOLDFAST_STORAGE_SQL_PAGE_SOURCE_H_
#define HOLDFAST_STORAGE_SQL_PAGE_SOURCE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "storage/store/format.h"

namespace holdfast::storage::sql {

// The size of a page: SQLite's own default, and part of the format on disk. With smaller pages a change costs the same
// CPU and takes more pages (measured: 3.6 pages of 1,024 bytes instead of 2.6).
inline constexpr size_t kPageBytes = kSqlPageBytes;

// The error on the object's executor, where nothing may take long, if a page is not in memory or the SQL may take long.
// The whole transaction is then to be run again on a worker.
inline constexpr absl::string_view kNeedsWorkerUrl = "holdfast/needs-worker";
inline absl::Status NeedsWorker() {
  absl::Status status = absl::UnavailableError("the SQL is to be run on a worker");
  status.SetPayload(kNeedsWorkerUrl, absl::Cord());
  return status;
}
inline bool IsNeedsWorker(const absl::Status& status) { return status.GetPayload(kNeedsWorkerUrl).has_value(); }

// Errors of all methods: NeedsWorker(), and DATA_LOSS if the store is damaged. One thread at a time.
class PageSource {
 public:
  virtual ~PageSource() = default;
  virtual absl::StatusOr<uint32_t> PageCount() = 0;
  // Fills kPageBytes at `page`. `number` is from 1 to PageCount().
  virtual absl::Status ReadPage(uint32_t number, char* page) = 0;
  // A page past the end makes the database longer; the pages between are zeros. RESOURCE_EXHAUSTED if the turn holds
  // too much.
  virtual absl::Status WritePage(uint32_t number, absl::string_view page) = 0;
  // Removes the pages after the first `page_count`. Never makes the database longer.
  virtual absl::Status Truncate(uint32_t page_count) = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PAGE_SOURCE_H_
