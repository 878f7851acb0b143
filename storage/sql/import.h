// Replaces an object's SQL database by another one, in steps, each of which is a turn of the object:
//
//   BeginImport() -> id   AddPages(id, ...)...   EndImport(id, page_count)
//
// The pages are written under a generation of their own, so requests go on with the old database until EndImport(),
// which switches in one commit. Of two imports at a time the one that began last wins. An import that ends in the
// middle leaves its pages, which the next import, or DeleteAll, removes; AbortImport() removes them at once.
//
// Errors: ABORTED if another import has begun since, or the object was deleted.

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

// Begins an import. `nonce` is 64 random bits.
StorageOp<ImportId> BeginImport(ObjectStorage* storage, uint64_t nonce);
// Adds whole pages, the first of which has the number `first`.
StorageOp<bool> AddPages(ObjectStorage* storage, ImportId id, uint32_t first, std::string pages);
// Puts the import in place of the object's database, and closes the object's SQL. The pages from 1 to `page_count` must
// have been added.
StorageOp<bool> EndImport(ObjectStorage* storage, ImportId id, uint32_t page_count);
// Removes the import's pages, and returns whether there was such an import. OK also if there was none.
StorageOp<bool> AbortImport(ObjectStorage* storage, ImportId id);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_IMPORT_H_
