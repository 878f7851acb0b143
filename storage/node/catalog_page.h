// Which objects exist, page by page.

#ifndef HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_
#define HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/object_id.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// In the order of (class, name), of one namespace.
struct CatalogPage {
  struct Query {
    std::string ns;
    std::string object_class;  // empty: all
    std::string name_prefix;
    std::string after;  // what the page before gave as `next`, or ""
    size_t count_max;
    size_t bytes_max;  // ends after the item with which the ids have so many bytes
  };
  struct Item {
    ObjectId id;
    v1::CatalogRecord record;
  };

  std::vector<Item> items;
  // Where the next page begins; empty if there is none.
  std::string next;
  // DATA_LOSS: where this page would begin the catalog is damaged, so objects may be missing between the page before
  // and the next one. There are no items then. A page that meets the damage further on ends before it.
  absl::Status damage;
};

// Blocking: not on an executor. Errors: those of the store but DATA_LOSS.
absl::StatusOr<CatalogPage> ReadCatalogPage(Store* store, const CatalogPage::Query& query);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_
