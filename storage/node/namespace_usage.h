// The objects that each namespace has, and their bytes, as the catalog has them: for quotas.
//
// A start with such quotas counts the catalog, some microseconds for an object; from then on each change of a catalog
// record is counted. The size in the catalog may be off by an eighth, or by 4 KiB where that is more, as ListObjects
// says. Executors check and count by themselves, so a quota may be passed by a turn of each of the other executors.
//
// Bounds: a namespace takes some 100 bytes, and has at least one object. Threading: any thread.

#ifndef HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_
#define HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/base/mutex.h"
#include "storage/store/store.h"

namespace holdfast::storage {

class NamespaceUsage {
 public:
  // 0: there is no quota.
  struct Quota {
    int64_t objects_max = 0;
    int64_t bytes_max = 0;
  };
  struct Usage {
    int64_t objects = 0;
    int64_t bytes = 0;
  };
  using Quotas = absl::flat_hash_map<std::string, Quota>;

  NamespaceUsage() = default;
  NamespaceUsage(const NamespaceUsage&) = delete;
  NamespaceUsage& operator=(const NamespaceUsage&) = delete;

  // Counts the catalog; a garbled record counts as an object without bytes. Blocking. Errors: those of the store, but
  // damage only ends the count where it is.
  absl::Status Count(Store* store);
  // Replaces the quotas; that of "" is for each namespace that no other is for.
  void SetQuotas(Quotas quotas);

  enum class Reached { kNo, kObjects, kBytes };
  // Returns the quota that a turn would pass that makes a new object, or not, and adds so many bytes.
  Reached Check(absl::string_view ns, bool new_object, int64_t more_bytes) const;
  // Counts a change of the catalog.
  void Add(absl::string_view ns, int64_t objects, int64_t bytes);
  Usage Of(absl::string_view ns) const;

 private:
  mutable Mutex mutex_;
  Quotas quotas_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Usage> usage_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::storage

#endif  // HOLDFAST_STORAGE_NODE_NAMESPACE_USAGE_H_
