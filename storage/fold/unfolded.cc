#include "storage/fold/unfolded.h"

#include <algorithm>
#include <tuple>
#include <utility>

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
  size_t before = 0;
  // A snapshot that had these sets has ended: they become one.
  while (sets->size() >= 2 && sets->back().use_count() == 1 && (*sets)[sets->size() - 2].use_count() == 1) {
    const std::shared_ptr<WriteSet> newer = std::move(sets->back());
    sets->pop_back();
    before += newer->bytes() + sets->back()->bytes();
    sets->back()->Merge(std::move(*newer));
    before -= sets->back()->bytes();
  }
  if (sets->empty() || sets->back().use_count() > 1) sets->push_back(std::make_shared<WriteSet>());
  before += sets->back()->bytes();
  sets->back()->Merge(std::move(*writes));
  writes->Clear();
  return sets->back()->bytes() - before;
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
  last_[log] = batch;
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
    folds_.fetch_add(1, std::memory_order_release);
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
  bytes_.fetch_sub(folding_bytes_, std::memory_order_relaxed);
  folding_bytes_ = 0;
}

}  // namespace holdfast::storage
