// Puts another SQL database in the place of an object's own, in steps, each a turn of the object:
//
//   BeginImport() -> generation   AddPages(generation, ...)...   EndImport(generation, page_count)
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

#include "storage/object_storage.h"
#include "storage/read.h"

namespace holdfast::storage::sql {

Read<uint32_t> BeginImport(ObjectStorage* storage);
// Whole pages, of which the first has that number.
Read<bool> AddPages(ObjectStorage* storage, uint32_t generation, uint32_t first, std::string pages);
// The pages from 1 to `page_count` were added. Closes the object's SQL.
Read<bool> EndImport(ObjectStorage* storage, uint32_t generation, uint32_t page_count);
// OK also where there is nothing of it.
Read<bool> AbortImport(ObjectStorage* storage, uint32_t generation);

}  // namespace holdfast::storage::sql

#endif  // HOLDFAST_STORAGE_SQL_IMPORT_H_
