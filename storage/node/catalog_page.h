// Lists the objects that exist, page by page.

#ifndef HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_
#define HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "holdfast/storage/v1/storage.pb.h"
#include "storage/store/object_id.h"
#include "storage/store/shard_set.h"
#include "storage/store/store.h"

namespace holdfast::storage {

// A page of the objects of one namespace, in the order of (class, name).
struct CatalogPage {
  static constexpr size_t kLeftOutMax = 20'000;

  struct Query {
    std::string ns;
    std::string object_class;  // empty: all
    std::string name_prefix;
    std::string after;  // `next` of the page before, or ""
    size_t count_max;
    size_t bytes_max;  // ends after the item with which ids and records reach this many bytes
    // Objects of other shards are left out. A page ends after kLeftOutMax of them, perhaps without items.
    ShardSet shards = ShardSet().set();
  };
  struct Item {
    ObjectId id;
    v1::CatalogRecord record;
  };

  std::vector<Item> items;
  // The key after which the next page begins; empty if there is no next page.
  std::string next;
  // DATA_LOSS if the catalog is damaged where this page would begin: objects may be missing between the page before and
  // the next one, and this page has no items. A page that meets damage further on ends before it.
  absl::Status damage;
};

// Blocking: not on an executor. Errors: those of the store except DATA_LOSS.
absl::StatusOr<CatalogPage> ReadCatalogPage(Store* store, const CatalogPage::Query& query);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_CATALOG_PAGE_H_
