// A file that is to become an object's SQL database. Its sender may have made it to do harm.
//
// Threading: one thread at a time; the methods wait for the disk.

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

  // Appends to the file. RESOURCE_EXHAUSTED if there is no room for the bytes.
  absl::Status Append(absl::string_view bytes);
  uint64_t bytes() const { return bytes_; }

  // Checks, after the last Append, that the file is a database that an object may have. INVALID_ARGUMENT says why it is
  // not. The check reads the whole file, so it takes seconds for each gigabyte; after limits.time_max, or when `stop`
  // says so, it ends with kTimeLimit. CHECK constraints are not checked, since the file decides what they compute.
  // Other errors are not due to the file. Of the options, this sets temp_space and check_constraints.
  absl::Status Check(ConnectionOptions options);

  // These implement PageSource over the file; writes fail. A database of another journal mode reads as one that needs
  // no file beside it.
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
