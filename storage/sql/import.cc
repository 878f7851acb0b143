#include "storage/sql/import.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/format.h"
#include "storage/sql/pages.h"

namespace holdfast::storage::sql {
namespace {

// What is stored of the two databases.
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

bool IsOf(const Found& found, uint32_t generation) { return found.import && found.import->generation() == generation; }

// Looks, then does `change` in the turn; `check` says whether it may.
template <typename T>
Read<T> Change(ObjectStorage* storage, std::function<absl::StatusOr<T>(const Found&)> check,
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

std::function<absl::StatusOr<bool>(const Found&)> Goes(uint32_t generation) {
  return [generation](const Found& found) -> absl::StatusOr<bool> {
    if (IsOf(found, generation)) return true;
    return absl::AbortedError("another import has begun, or the object was deleted");
  };
}

}  // namespace

Read<uint32_t> BeginImport(ObjectStorage* storage) {
  const auto next = [](const Found& found) {
    return std::max(found.database.generation(), found.import ? found.import->generation() : 0) + 1;
  };
  return Change<uint32_t>(storage, next, [next](const Found& found, WriteSet* writes) {
    if (found.import) writes->DeleteRange(PageRange(found.import->generation()));
    v1::SqlImport import;
    import.set_generation(next(found));
    writes->Put(kSqlImportKey, import.SerializeAsString());
  });
}

Read<bool> AddPages(ObjectStorage* storage, uint32_t generation, uint32_t first, std::string pages) {
  return Change<bool>(storage, Goes(generation),
                      [generation, first, pages = std::move(pages)](const Found&, WriteSet* writes) {
                        const absl::string_view all = pages;
                        for (size_t i = 0; i < all.size() / kPageBytes; ++i) {
                          writes->Put(PageKey(generation, first + static_cast<uint32_t>(i)),
                                      StoredPage(all.substr(i * kPageBytes, kPageBytes)));
                        }
                      });
}

Read<bool> EndImport(ObjectStorage* storage, uint32_t generation, uint32_t page_count) {
  return Change<bool>(storage, Goes(generation), [=](const Found& found, WriteSet* writes) {
    storage->CloseSql();
    if (found.database.page_count() > 0) writes->DeleteRange(PageRange(found.database.generation()));
    writes->Delete(kSqlImportKey);
    if (page_count > 0) {
      v1::SqlDatabase database;
      database.set_page_count(page_count);
      database.set_generation(generation);
      writes->Put(kSqlDatabaseKey, database.SerializeAsString());
    } else {
      writes->Delete(kSqlDatabaseKey);
    }
    storage->usage().size_bytes += UsageOf(page_count) - UsageOf(found.database.page_count());
  });
}

Read<bool> AbortImport(ObjectStorage* storage, uint32_t generation) {
  return Change<bool>(
      storage, [generation](const Found& found) -> absl::StatusOr<bool> { return IsOf(found, generation); },
      [generation](const Found& found, WriteSet* writes) {
        if (!IsOf(found, generation)) return;
        writes->DeleteRange(PageRange(generation));
        writes->Delete(kSqlImportKey);
      });
}

}  // namespace holdfast::storage::sql
