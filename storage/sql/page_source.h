// The database of one object as SQLite's file layer sees it: pages, numbered from 1, all of one size.
//
// What SQLite runs on knows no more of the storage than this, so the same database can be run on the object's executor
// over what is in memory, or on another thread over a copy.

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

// SQLite's own default. With smaller pages a change costs the same CPU and takes more of them (measured: 3.6 of 1,024
// bytes instead of 2.6). Part of the format on disk.
inline constexpr size_t kPageBytes = kSqlPageBytes;

// What is answered where nothing may take long, if the page is not in memory or the SQL may: the whole transaction is
// to be run again where it may.
inline constexpr absl::string_view kNeedsWorkerUrl = "holdfast/needs-worker";
inline absl::Status NeedsWorker() {
  absl::Status status = absl::UnavailableError("the SQL is to be run on a worker");
  status.SetPayload(kNeedsWorkerUrl, absl::Cord());
  return status;
}
inline bool IsNeedsWorker(const absl::Status& status) { return status.GetPayload(kNeedsWorkerUrl).has_value(); }

// Errors of all: NeedsWorker(), DATA_LOSS where the store is damaged. One thread at a time.
class PageSource {
 public:
  virtual ~PageSource() = default;
  virtual absl::StatusOr<uint32_t> PageCount() = 0;
  // Fills kPageBytes at `page`. `number`: 1 to PageCount().
  virtual absl::Status ReadPage(uint32_t number, char* page) = 0;
  // A page past the end makes the database longer; what lies between are pages of zeros. RESOURCE_EXHAUSTED: the turn
  // holds too much.
  virtual absl::Status WritePage(uint32_t number, absl::string_view page) = 0;
  // Removes the pages after these. Never makes the database longer.
  virtual absl::Status Truncate(uint32_t page_count) = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_PAGE_SOURCE_H_
