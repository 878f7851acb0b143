#include "storage/fold/unfolded.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/check.h"

namespace holdfast::storage {
namespace {

// Applies `writes`, whose keys lack `prefix`, to a set whose keys have it.
void CopyUnder(const std::string& prefix, const WriteSet& writes, WriteSet* whole) {
  for (const KeyRange& range : writes.removed()) whole->DeleteRange(Location{FamilyId::kPacked, prefix}.Under(range));
  for (const auto& [key, value] : writes.points()) {
    value ? whole->Put(prefix + key, *value) : whole->Delete(prefix + key);
  }
}

}  // namespace

Unfolded::Snapshot::~Snapshot() {
  if (slot_ == nullptr) return;
  // Under the mutex, so that Add sees all reads of this snapshot as done when it changes a set again.
  MutexLock lock(&slot_->mutex);
  sets_.clear();
}

std::vector<const WriteSet*> Unfolded::Snapshot::Layers() const {
  std::vector<const WriteSet*> layers;
  layers.reserve(sets_.size());
  for (auto set = sets_.rbegin(); set != sets_.rend(); ++set) layers.push_back(set->get());
  return layers;
}

size_t Unfolded::AddTo(Sets* sets, WriteSet* writes) {
  const auto bytes_of = [&] {
    size_t bytes = 0;
    for (const auto& set : *sets) bytes += set->bytes();
    return bytes;
  };
  const size_t before = bytes_of();
  if (sets->empty() || sets->back().use_count() > 1) sets->push_back(std::make_shared<WriteSet>());
  sets->back()->Merge(std::move(*writes));
  writes->Clear();
  // Two sets that no snapshot has become one. Of those that one has, a copy of the two takes their place when the newer
  // has half the bytes of the older: each has less than half of the one before, so they stay few.
  for (size_t newer = sets->size() - 1; newer > 0; --newer) {
    std::shared_ptr<WriteSet>& older_set = (*sets)[newer - 1];
    std::shared_ptr<WriteSet>& newer_set = (*sets)[newer];
    if (older_set.use_count() == 1 && newer_set.use_count() == 1) {
      older_set->Merge(std::move(*newer_set));
    } else if (2 * newer_set->bytes() >= older_set->bytes()) {
      older_set = std::make_shared<WriteSet>(*older_set);
      older_set->Merge(WriteSet(*newer_set));
    } else {
      continue;
    }
    sets->erase(sets->begin() + static_cast<ptrdiff_t>(newer));
  }
  return bytes_of() - before;
}

void Unfolded::Add(uint32_t log, BatchNumber batch, absl::Span<const KeyspaceWrites> writes) {
  ReaderLock batches(&batches_mutex_);
  size_t grown = 0;
  for (const KeyspaceWrites& part : writes) {
    Slot& slot = SlotOf(*part.location);
    MutexLock lock(&slot.mutex);
    Sets& sets = slot.logged[*part.location];
    if (sets.empty()) grown += kKeyspaceBytes;
    grown += AddTo(&sets, part.writes);
  }
  bytes_.fetch_add(grown, std::memory_order_relaxed);
  MutexLock lock(&last_mutex_);
  const auto [last, first] = last_.try_emplace(log, batch);
  HOLDFAST_CHECK(first || batch == last->second + 1, absl::StrCat("batch ", batch, " of log ", log));
  last->second = batch;
}

WriteSet::Verdict Unfolded::Find(const Location& location, absl::string_view key, std::string* value) {
  Slot& slot = SlotOf(location);
  MutexLock lock(&slot.mutex);
  for (const Keyspaces* keyspaces : {&slot.logged, &slot.folding}) {
    const auto found = keyspaces->find(location);
    if (found == keyspaces->end()) continue;
    for (auto set = found->second.rbegin(); set != found->second.rend(); ++set) {
      const std::string* stored;
      const WriteSet::Verdict verdict = (*set)->Find(key, &stored);
      if (verdict == WriteSet::Verdict::kPresent) *value = *stored;
      if (verdict != WriteSet::Verdict::kUnknown) return verdict;
    }
  }
  return WriteSet::Verdict::kUnknown;
}

Unfolded::Snapshot Unfolded::Take(const Location& location) {
  if (location == WholeFamily(FamilyId::kPacked)) return TakeFamily(location.family);
  Snapshot snapshot;
  Slot& slot = SlotOf(location);
  MutexLock lock(&slot.mutex);
  for (const Keyspaces* keyspaces : {&slot.folding, &slot.logged}) {
    const auto found = keyspaces->find(location);
    if (found == keyspaces->end()) continue;
    snapshot.sets_.insert(snapshot.sets_.end(), found->second.begin(), found->second.end());
  }
  if (!snapshot.sets_.empty()) snapshot.slot_ = &slot;
  return snapshot;
}

Unfolded::Snapshot Unfolded::TakeFamily(FamilyId family) {
  Snapshot snapshot;
  snapshot.sets_.push_back(std::make_shared<WriteSet>());
  WriterLock batches(&batches_mutex_);
  for (Slot& slot : slots_) {
    MutexLock lock(&slot.mutex);
    for (const Keyspaces* keyspaces : {&slot.folding, &slot.logged}) {
      for (const auto& [location, sets] : *keyspaces) {
        if (location.family != family) continue;
        for (const auto& set : sets) CopyUnder(location.prefix, *set, snapshot.sets_.back().get());
      }
    }
  }
  return snapshot;
}

Unfolded::Fold Unfolded::BeginFold() {
  Fold fold;
  {
    WriterLock batches(&batches_mutex_);
    MutexLock last(&last_mutex_);
    fold.last = last_;
    folding_bytes_ = fold.bytes = bytes_;
    fold_steps_.fetch_add(1, std::memory_order_release);
    for (Slot& slot : slots_) {
      MutexLock lock(&slot.mutex);
      std::swap(slot.folding, slot.logged);
    }
  }
  for (Slot& slot : slots_) {
    for (auto& [location, sets] : slot.folding) {
      WriteSet* writes = sets.front().get();
      if (sets.size() > 1) {
        writes = fold.joined.emplace_back(std::make_unique<WriteSet>(*writes)).get();
        for (size_t i = 1; i < sets.size(); ++i) writes->Merge(WriteSet(*sets[i]));
      }
      fold.writes.push_back({&location, writes});
    }
  }
  std::sort(fold.writes.begin(), fold.writes.end(), [](const KeyspaceWrites& a, const KeyspaceWrites& b) {
    return std::tie(a.location->family, a.location->prefix) < std::tie(b.location->family, b.location->prefix);
  });
  return fold;
}

void Unfolded::EndFold() {
  for (Slot& slot : slots_) {
    Keyspaces folded;
    MutexLock lock(&slot.mutex);
    std::swap(slot.folding, folded);
  }
  fold_steps_.fetch_add(1, std::memory_order_release);
  bytes_.fetch_sub(folding_bytes_, std::memory_order_relaxed);
  folding_bytes_ = 0;
}

}  // namespace holdfast::storage
