// Counts the objects of each namespace, and their bytes, page by page: the catalog is read in order, so a namespace is
// whole when the next one begins.

#ifndef HOLDFAST_STORAGE_NODE_NAMESPACE_PAGE_H_
#define HOLDFAST_STORAGE_NODE_NAMESPACE_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store/store.h"

namespace holdfast::storage {

struct NamespaceCount {
  std::string ns;
  int64_t objects = 0;
  int64_t size_bytes = 0;

  bool operator==(const NamespaceCount&) const = default;
};

struct NamespacePage {
  std::vector<NamespaceCount> namespaces;
  // Where the next page begins, with what was counted of a namespace that has not ended; empty if there is no next
  // page.
  std::string next;
};

// `after` is `next` of the page before, or "". A page ends after `count_max` namespaces, or after `objects_max` objects
// were read. Blocking: not on an executor. Errors: INVALID_ARGUMENT if `after` is no `next`; those of the store.
absl::StatusOr<NamespacePage> ReadNamespacePage(Store* store, absl::string_view after, size_t count_max,
                                                size_t objects_max);

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_NAMESPACE_PAGE_H_
