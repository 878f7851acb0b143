#include "storage/node/namespace_usage.h"

#include <utility>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/base/log.h"
#include "storage/object/keyspace.h"
#include "storage/store/object_id.h"

namespace holdfast::storage {

absl::Status NamespaceUsage::Count(Store* store) {
  const Location location = WholeFamily(FamilyId::kCatalog);
  View view(store, &location, {}, ReadTier::kDisk);
  const absl::Status status = view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
    v1::CatalogRecord record;
    (void)record.ParseFromArray(value.data(), static_cast<int>(value.size()));
    Add(ObjectKey::FromEncoded(std::string(key)).encoded_namespace(), 1, record.size_bytes());
    return true;
  });
  if (!absl::IsDataLoss(status)) return status;
  Log(LogLevel::kError, "catalog_damaged",
      {{"status", status.ToString()}, {"what", "objects behind the damage count for no quota"}});
  return absl::OkStatus();
}

void NamespaceUsage::SetQuotas(Quotas quotas) {
  MutexLock lock(&mutex_);
  quotas_ = std::move(quotas);
}

NamespaceUsage::Reached NamespaceUsage::Check(absl::string_view ns, bool new_object, int64_t more_bytes) const {
  MutexLock lock(&mutex_);
  auto quota = quotas_.find(ns);
  if (quota == quotas_.end()) quota = quotas_.find("");
  if (quota == quotas_.end()) return Reached::kNo;
  const auto found = usage_.find(ns);
  const Usage usage = found == usage_.end() ? Usage() : found->second;
  const auto& [objects_max, bytes_max] = quota->second;
  if (new_object && objects_max > 0 && usage.objects >= objects_max) return Reached::kObjects;
  if (more_bytes > 0 && bytes_max > 0 && usage.bytes + more_bytes > bytes_max) return Reached::kBytes;
  return Reached::kNo;
}

void NamespaceUsage::Add(absl::string_view ns, int64_t objects, int64_t bytes) {
  if (objects == 0 && bytes == 0) return;
  MutexLock lock(&mutex_);
  const auto usage = usage_.try_emplace(ns).first;
  usage->second.objects += objects;
  usage->second.bytes += bytes;
  if (usage->second.objects <= 0) usage_.erase(usage);
}

NamespaceUsage::Usage NamespaceUsage::Of(absl::string_view ns) const {
  MutexLock lock(&mutex_);
  const auto found = usage_.find(ns);
  return found == usage_.end() ? Usage() : found->second;
}

}  // namespace holdfast::storage
