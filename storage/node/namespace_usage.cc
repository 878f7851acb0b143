#include "storage/node/namespace_usage.h"

#include <algorithm>
#include <utility>

#include "holdfast/storage/v1/storage.pb.h"
#include "storage/base/log.h"
#include "storage/object/keyspace.h"

namespace holdfast::storage {
namespace {

using Usage = NamespaceUsage::Usage;

// Returns whether a node may add `more` to a namespace that has `total`, of which it has added `added` in the round.
enum class Fit { kFits, kNotInPart, kNotAtAll };
Fit FitOf(int64_t quota, int64_t total, int64_t added, int64_t more, int64_t nodes) {
  if (total + more > quota) return Fit::kNotAtAll;
  const int64_t room = quota - (total - added);
  return added <= 0 || added + more <= (room + nodes - 1) / nodes ? Fit::kFits : Fit::kNotInPart;
}

int64_t SizeOf(absl::string_view catalog_record) {
  v1::CatalogRecord record;
  (void)record.ParseFromArray(catalog_record.data(), static_cast<int>(catalog_record.size()));
  return record.size_bytes();
}

}  // namespace

NamespaceUsage::NamespaceUsage(Quotas quotas, uint64_t run)
    : quotas_(std::move(quotas)), run_(run), owners_(run == 0 ? 1 : kShardCount) {}

absl::Status NamespaceUsage::Count(Store* store) {
  const Location location = WholeFamily(FamilyId::kCatalog);
  View view(store, &location, {}, ReadTier::kDisk);
  const absl::Status status = view.Scan(KeyRange::All(), false, [&](absl::string_view key, absl::string_view value) {
    const ObjectKey object = ObjectKey::FromEncoded(std::string(key));
    const absl::string_view ns = object.encoded_namespace();
    if (QuotaOf(ns) == nullptr) return true;
    MutexLock lock(&mutex_);
    ChangeTotal(ns, Change(object.shard(), ns, {1, SizeOf(value)}), /*added=*/false);
    return true;
  });
  if (!absl::IsDataLoss(status)) return status;
  Log(LogLevel::kError, "catalog_damaged",
      {{"status", status.ToString()}, {"what", "objects behind the damage count for no quota"}});
  return absl::OkStatus();
}

NamespaceUsage::Verdict NamespaceUsage::Check(absl::string_view ns, bool new_object, int64_t more_bytes) const {
  const Quota* const quota = QuotaOf(ns);
  if (quota == nullptr) return {};
  MutexLock lock(&mutex_);
  const auto found = totals_.find(ns);
  const Total total = found == totals_.end() ? Total() : found->second;
  const Usage added = total.round == round_ ? total.added : Usage();
  const auto nodes = static_cast<int64_t>(std::max(owners_, takers_));
  if (new_object && quota->objects_max > 0) {
    const Fit fit = FitOf(quota->objects_max, total.usage.objects, added.objects, 1, nodes);
    if (fit != Fit::kFits) return {Reached::kObjects, fit == Fit::kNotInPart};
  }
  if (more_bytes > 0 && quota->bytes_max > 0) {
    const Fit fit = FitOf(quota->bytes_max, total.usage.bytes, added.bytes, more_bytes, nodes);
    if (fit != Fit::kFits) return {Reached::kBytes, fit == Fit::kNotInPart};
  }
  return {};
}

void NamespaceUsage::Add(const ObjectKey& object, int64_t objects, int64_t bytes) {
  const absl::string_view ns = object.encoded_namespace();
  if ((objects == 0 && bytes == 0) || QuotaOf(ns) == nullptr) return;
  MutexLock lock(&mutex_);
  ChangeTotal(ns, Change(object.shard(), ns, {objects, bytes}), /*added=*/true);
}

NamespaceUsage::Usage NamespaceUsage::Of(absl::string_view ns) const {
  MutexLock lock(&mutex_);
  const auto found = totals_.find(ns);
  return found == totals_.end() ? Usage() : found->second.usage;
}

const NamespaceUsage::Quota* NamespaceUsage::QuotaOf(absl::string_view ns) const {
  auto quota = quotas_.find(ns);
  if (quota == quotas_.end()) quota = quotas_.find("");
  if (quota == quotas_.end()) return nullptr;
  return quota->second.objects_max > 0 || quota->second.bytes_max > 0 ? &quota->second : nullptr;
}

NamespaceUsage::Usage NamespaceUsage::Change(ShardId number, absl::string_view ns, Usage by) {
  if (run_ == 0) return by;
  Shard& shard = shards_[static_cast<size_t>(number)];
  const auto entry = shard.namespaces.try_emplace(ns).first;
  Usage& usage = entry->second.usage;
  shard.version = entry->second.version = ++version_;
  if (usage.objects + by.objects <= 0) {
    by = {-usage.objects, -usage.bytes};
    shard.namespaces.erase(entry);
    shard.whole_from = shard.version;
  } else {
    usage = {usage.objects + by.objects, usage.bytes + by.bytes};
  }
  return by;
}

void NamespaceUsage::ChangeTotal(absl::string_view ns, Usage by, bool added) {
  const auto found = totals_.try_emplace(ns).first;
  Total& total = found->second;
  total.usage = {total.usage.objects + by.objects, total.usage.bytes + by.bytes};
  if (added) {
    if (total.round != round_) total.added = {};
    total.round = round_;
    total.added = {total.added.objects + by.objects, total.added.bytes + by.bytes};
  }
  if (total.usage.objects <= 0) totals_.erase(found);
}

void NamespaceUsage::Clear(Shard* shard) {
  for (const auto& [ns, entry] : shard->namespaces) {
    ChangeTotal(ns, {-entry.usage.objects, -entry.usage.bytes}, /*added=*/false);
  }
  shard->namespaces.clear();
}

void NamespaceUsage::Set(ShardId number, absl::string_view ns, Usage usage) {
  if (QuotaOf(ns) == nullptr) return;
  const auto& namespaces = shards_[static_cast<size_t>(number)].namespaces;
  const auto found = namespaces.find(ns);
  const Usage before = found == namespaces.end() ? Usage() : found->second.usage;
  ChangeTotal(ns, Change(number, ns, {usage.objects - before.objects, usage.bytes - before.bytes}), /*added=*/false);
}

void NamespaceUsage::CountRecord(absl::string_view key, absl::string_view value, Counts* counts) {
  const ObjectKey object = ObjectKey::FromEncoded(std::string(key));
  Usage& usage = (*counts)[object.encoded_namespace()];
  usage = {usage.objects + 1, usage.bytes + SizeOf(value)};
}

void NamespaceUsage::Gain(ShardId number, int64_t epoch, const Counts& counts) {
  MutexLock lock(&mutex_);
  Shard& shard = shards_[static_cast<size_t>(number)];
  Clear(&shard);
  shard.here = true;
  shard.epoch = epoch;
  shard.version = shard.whole_from = ++version_;
  for (const auto& [ns, usage] : counts) Set(number, ns, usage);
}

void NamespaceUsage::Lose(ShardId number) {
  MutexLock lock(&mutex_);
  shards_[static_cast<size_t>(number)].here = false;
}

NamespaceUsage::News NamespaceUsage::Tell(uint64_t run, uint64_t since, size_t first) const {
  if (run != run_) since = 0;
  News news{.run = run_};
  size_t namespaces = 0;
  for (size_t i = first; i < kShardCount; ++i) {
    // Executors wait for one shard at most.
    MutexLock lock(&mutex_);
    if (i == first) news.version = version_;
    const Shard& shard = shards_[i];
    if (!shard.here || shard.version <= since) continue;
    if (namespaces >= kNewsMax) {
      news.next = i;
      break;
    }
    ShardNews& told = news.shards.emplace_back();
    told.shard = ShardId(i);
    told.epoch = shard.epoch;
    told.whole = shard.whole_from > since;
    for (const auto& [ns, entry] : shard.namespaces) {
      if (told.whole || entry.version > since) told.namespaces.emplace_back(ns, entry.usage);
    }
    namespaces += told.namespaces.size();
  }
  return news;
}

void NamespaceUsage::Hear(const ShardNews& news) {
  MutexLock lock(&mutex_);
  Shard& shard = shards_[static_cast<size_t>(news.shard)];
  if (shard.here || news.epoch < shard.epoch) return;
  if (news.whole || news.epoch > shard.epoch) Clear(&shard);
  shard.epoch = news.epoch;
  for (const auto& [ns, usage] : news.namespaces) Set(news.shard, ns, usage);
}

void NamespaceUsage::EndRound(size_t nodes) {
  MutexLock lock(&mutex_);
  ++round_;
  owners_ = nodes;
}

void NamespaceUsage::SetTakers(size_t nodes) {
  MutexLock lock(&mutex_);
  takers_ = nodes;
}

}  // namespace holdfast::storage
