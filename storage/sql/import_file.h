// A file that is to become an object's SQL database, which whoever sent it may have made to harm.
//
// Threading: one thread at a time; it waits for the disk.

#ifndef HOLDFAST_STORAGE_SQL_IMPORT_FILE_H_
#define HOLDFAST_STORAGE_SQL_IMPORT_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sql/connection.h"
#include "storage/sql/page_source.h"
#include "storage/sql/temp_space.h"

namespace holdfast::storage::sql {

class ImportFile : public PageSource {
 public:
  // Takes room for the file in `space`, which outlives this.
  explicit ImportFile(TempSpace* space) : space_(space) {}
  ~ImportFile() override;
  ImportFile(const ImportFile&) = delete;
  ImportFile& operator=(const ImportFile&) = delete;

  // RESOURCE_EXHAUSTED: there is no room for it.
  absl::Status Append(absl::string_view bytes);
  uint64_t bytes() const { return bytes_; }

  // After the last Append: whether it is a database that an object may have. INVALID_ARGUMENT says why not. Looks at
  // all of it, so it takes seconds for each gigabyte, up to limits.time_max, or until `stop` says so: kTimeLimit. CHECK
  // constraints are not looked at, since what they compute is the file's. Other errors are not the file's. Of the
  // options, this sets the temporary space and what is checked.
  absl::Status Check(ConnectionOptions options);

  // PageSource, of what is there; nothing can be written. A database of another journal mode reads as one that needs no
  // file beside it.
  absl::StatusOr<uint32_t> PageCount() override { return static_cast<uint32_t>(bytes_ / kPageBytes); }
  absl::Status ReadPage(uint32_t number, char* page) override;
  absl::Status WritePage(uint32_t number, absl::string_view page) override;
  absl::Status Truncate(uint32_t page_count) override;

 private:
  absl::Status CheckHeader();

  TempSpace* const space_;
  int file_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_IMPORT_FILE_H_
