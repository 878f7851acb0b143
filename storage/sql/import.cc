#include "storage/sql/import.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/sql/pages.h"
#include "storage/store/format.h"

namespace holdfast::storage::sql {
namespace {

// The stored records of the object's database and of the import.
struct Found {
  v1::SqlDatabase database;
  std::optional<v1::SqlImport> import;
};

absl::StatusOr<Found> Look(View& view) {
  Found found;
  auto database = ReadDatabaseRecord(&view);
  if (!database.ok()) return database.status();
  found.database = *std::move(database);
  auto record = view.Get(kSqlImportKey);
  if (!record.ok()) return record.status();
  if (*record && !found.import.emplace().ParseFromString(**record)) {
    return absl::DataLossError("the record of the import cannot be read");
  }
  return found;
}

bool IsOf(const Found& found, ImportId id) {
  return found.import && found.import->generation() == id.generation && found.import->nonce() == id.nonce;
}

// Reads the records, and then makes `change` in the turn if `check` allows it.
template <typename T>
StorageOp<T> Change(ObjectStorage* storage, std::function<absl::StatusOr<T>(const Found&)> check,
                    std::function<void(const Found&, WriteSet*)> change) {
  auto found = std::make_shared<Found>();
  return {storage,
          {kSqlDatabaseKey, kSqlImportKey + '\0'},
          [found, check = std::move(check)](View& view) -> absl::StatusOr<T> {
            auto looked = Look(view);
            if (!looked.ok()) return looked.status();
            *found = *std::move(looked);
            return check(*found);
          },
          [storage, found, change = std::move(change)](T&) {
            change(*found, &storage->writes());
            return absl::OkStatus();
          }};
}

std::function<absl::StatusOr<bool>(const Found&)> Goes(ImportId id) {
  return [id](const Found& found) -> absl::StatusOr<bool> {
    if (IsOf(found, id)) return true;
    return absl::AbortedError("another import has begun, or the object was deleted");
  };
}

}  // namespace

StorageOp<ImportId> BeginImport(ObjectStorage* storage, uint64_t nonce) {
  const auto next = [nonce](const Found& found) {
    const uint32_t generation =
        std::max(found.database.generation(), found.import ? found.import->generation() : 0) + 1;
    return ImportId{generation, nonce};
  };
  return Change<ImportId>(storage, next, [next](const Found& found, WriteSet* writes) {
    if (found.import) writes->DeleteRange(PageRange(found.import->generation()));
    v1::SqlImport import;
    import.set_generation(next(found).generation);
    import.set_nonce(next(found).nonce);
    writes->Put(kSqlImportKey, import.SerializeAsString());
  });
}

StorageOp<bool> AddPages(ObjectStorage* storage, ImportId id, uint32_t first, std::string pages) {
  return Change<bool>(storage, Goes(id), [id, first, pages = std::move(pages)](const Found&, WriteSet* writes) {
    const absl::string_view all = pages;
    for (size_t i = 0; i < all.size() / kPageBytes; ++i) {
      writes->Put(PageKey(id.generation, first + static_cast<uint32_t>(i)),
                  StoredPage(all.substr(i * kPageBytes, kPageBytes)));
    }
  });
}

StorageOp<bool> EndImport(ObjectStorage* storage, ImportId id, uint32_t page_count) {
  return Change<bool>(storage, Goes(id), [=](const Found& found, WriteSet* writes) {
    storage->CloseSql();
    if (found.database.page_count() > 0) writes->DeleteRange(PageRange(found.database.generation()));
    writes->Delete(kSqlImportKey);
    if (page_count > 0) {
      v1::SqlDatabase database;
      database.set_page_count(page_count);
      database.set_generation(id.generation);
      writes->Put(kSqlDatabaseKey, database.SerializeAsString());
    } else {
      writes->Delete(kSqlDatabaseKey);
    }
    storage->usage().size_bytes += UsageOfPages(page_count) - UsageOfPages(found.database.page_count());
  });
}

StorageOp<bool> AbortImport(ObjectStorage* storage, ImportId id) {
  return Change<bool>(
      storage, [id](const Found& found) -> absl::StatusOr<bool> { return IsOf(found, id); },
      [id](const Found& found, WriteSet* writes) {
        if (!IsOf(found, id)) return;
        writes->DeleteRange(PageRange(id.generation));
        writes->Delete(kSqlImportKey);
      });
}

}  // namespace holdfast::storage::sql
