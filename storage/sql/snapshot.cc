#include "storage/sql/snapshot.h"

#include <algorithm>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/sql/pages.h"
#include "storage/store/format.h"

namespace holdfast::storage::sql {

StorageOp<std::shared_ptr<Snapshot>> Snapshot::Take(ObjectStorage* storage) {
  return {storage, DatabaseRange(), [](View& view) -> absl::StatusOr<std::shared_ptr<Snapshot>> {
            if (view.tier() == ReadTier::kMemory) {
              view.GoToDisk();
              return absl::UnavailableError("on a worker");
            }
            const auto record = ReadDatabaseRecord(&view);
            if (!record.ok()) return record.status();
            return std::make_shared<Snapshot>(view.Freeze(DatabaseRange()), record->generation(), record->page_count());
          }};
}

absl::Status Snapshot::ReadPages(uint32_t pages, std::string* file) {
  for (; pages > 0 && !at_end(); --pages, ++next_) {
    const auto value = range_.Get(PageKey(generation_, next_));
    if (!value.ok()) return value.status();
    const size_t begin = file->size();
    file->resize(begin + kPageBytes);
    if (absl::Status status = ImageOf(*value, next_, file->data() + begin); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace holdfast::storage::sql
