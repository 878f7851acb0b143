// Puts another SQL database in the place of an object's own, in steps, each a turn of the object:
//
//   BeginImport() -> id   AddPages(id, ...)...   EndImport(id, page_count)
//
// The pages are written under a generation of their own, so requests go on with the old database until EndImport(),
// which switches in one commit. Of two imports at a time the one that began last wins. One that ends in the middle
// leaves its pages, which the next one, or DeleteAll, removes; AbortImport() removes them at once.
//
// Errors: ABORTED where another import has begun since, or the object was deleted.

#ifndef HOLDFAST_STORAGE_SQL_IMPORT_H_
#define HOLDFAST_STORAGE_SQL_IMPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "storage/object/object_storage.h"
#include "storage/object/operation.h"

namespace holdfast::storage::sql {

// An import in progress. Generations are used again once nothing is left of the import that had them; nonces are not.
struct ImportId {
  uint32_t generation = 0;
  uint64_t nonce = 0;
};

// `nonce`: 64 random bits.
StorageOp<ImportId> BeginImport(ObjectStorage* storage, uint64_t nonce);
// Whole pages, of which the first has that number.
StorageOp<bool> AddPages(ObjectStorage* storage, ImportId id, uint32_t first, std::string pages);
// The pages from 1 to `page_count` were added. Closes the object's SQL.
StorageOp<bool> EndImport(ObjectStorage* storage, ImportId id, uint32_t page_count);
// OK also where there is nothing of it.
StorageOp<bool> AbortImport(ObjectStorage* storage, ImportId id);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_IMPORT_H_
